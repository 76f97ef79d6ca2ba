"""The two forwards of a world: the flow of a noisy block, and the writing of clean latents into the cache.

Denoising reads the cache (and overwrites only its own slots); `write` leaves the values that stay. Modulation depends
on the timestep alone and the sampler knows a handful, so it is computed once and not in the loop.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from longtake.model.cache import CacheBlock
from longtake.model.transformer import CrossKeys, Modulation, Transformer

CLEAN_TIMESTEP = 0.0


class Condition(NamedTuple):
    """What the network needs of a timestep: e for the head [1, 1, D], and each layer's modulation."""

    e: Tensor
    modulations: list[Modulation]


class Passes:
    """A transformer at the sampler's timesteps.

    Args:
        transformer: with its final weights; build the passes anew when they change.
        timesteps: of the sampler, 0 to 1000.
    """

    def __init__(self, transformer: Transformer, timesteps: Sequence[float]) -> None:
        self._transformer = transformer
        self._steps = [self._condition(t) for t in timesteps]
        self._clean = self._condition(CLEAN_TIMESTEP)

    def _condition(self, timestep: float) -> Condition:
        transformer = self._transformer
        t = torch.tensor([[timestep]], dtype=torch.float32, device=transformer.patch_embedding.weight.device)
        with torch.inference_mode():
            e, e0 = transformer.embed_time(t)
            return Condition(e, [layer.modulate(e0) for layer in transformer.layers])

    def flow(self, block: CacheBlock, latents: Tensor, step: int, cross: Sequence[CrossKeys]) -> Tensor:
        """Return the flow of noisy latents at the sampler's step.

        Args:
            block: where the frames lie in the cache.
            latents: [B, F, C, h, w] float.
            step: index of the timestep.
            cross: keys and values of the prompt per layer.

        Returns:
            [B, F, C, h, w] in the transformer's type.
        """
        condition = self._steps[step]
        x = self._transformer.embed_patches(latents)
        for index, layer in enumerate(self._transformer.layers):
            x = layer.run(x, condition.modulations[index], block.attend(index), cross[index])
        flow: Tensor = self._transformer.head(x, condition.e)
        return flow

    def write(self, block: CacheBlock, latents: Tensor, cross: Sequence[CrossKeys]) -> None:
        """Write the keys and values of clean latents [B, F, C, h, w]; stops at those of the last layer."""
        x = self._transformer.embed_patches(latents)
        *inner, last = self._transformer.layers
        modulations = self._clean.modulations
        for index, layer in enumerate(inner):
            x = layer.run(x, modulations[index], block.attend(index), cross[index])
        block.store(len(inner), *last.keys_values(x, modulations[-1]))
