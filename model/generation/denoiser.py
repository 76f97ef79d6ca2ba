"""The two forwards of a world: the flow of a noisy block, and the writing of clean latents into the cache.

Denoising reads the cache (and overwrites only its own slots); `write` leaves the values that stay. Modulation depends
on the timestep alone and the sampler knows a handful, so it is computed once and not in the loop.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from longtake.model.cache.ring import CacheBlock
from longtake.model.execution.cpu import CpuLayer, flat
from longtake.model.network.layers import Modulation, PromptKV
from longtake.model.network.transformer import Transformer

CLEAN_TIMESTEP = 0.0


class Condition(NamedTuple):
    """What the network needs of a timestep: e for the head [1, 1, D], and each layer's modulation."""

    e: Tensor
    modulations: list[Modulation]


class Denoiser:
    """A transformer at the sampler's timesteps.

    Args:
        transformer: with its final weights; build the denoiser again when they change.
        timesteps: of the sampler, 0 to 1000.
        fused: run the layers regrouped for a CPU (`longtake.model.execution.cpu`).

    Attributes:
        fused: the layers regrouped; empty where they are run as they are.
    """

    def __init__(self, transformer: Transformer, timesteps: Sequence[float], *, fused: bool = False) -> None:
        self._transformer = transformer
        self.fused = [CpuLayer(layer) for layer in transformer.layers] if fused else []
        self._steps = [self._condition(t) for t in timesteps]
        self._clean = self._condition(CLEAN_TIMESTEP)

    def _condition(self, timestep: float) -> Condition:
        transformer = self._transformer
        t = torch.tensor([[timestep]], dtype=torch.float32, device=transformer.patch_embedding.weight.device)
        with torch.inference_mode():
            e, e0 = transformer.embed_time(t)
            modulations = [layer.modulate(e0) for layer in transformer.layers]
            return Condition(e, [flat(m) for m in modulations] if self.fused else modulations)

    def prompt_kv(self, text: Tensor) -> list[PromptKV]:
        """text: [B, L, D] from `embed_text` -> keys and values per layer laid out as the layers read them."""
        keys = self._transformer.prompt_kv(text)
        if self.fused:
            keys = [layer.prompt_kv(pair) for layer, pair in zip(self.fused, keys, strict=True)]
        # Laid out as attention reads them, once: [B, heads, L, head_dim] behind the [B, L, heads, head_dim] view.
        return [(_by_head(k), _by_head(v)) for k, v in keys]

    def flow(self, block: CacheBlock, latents: Tensor, step: int, prompt_kv: Sequence[PromptKV]) -> Tensor:
        """Return the flow of noisy latents at the sampler's step.

        Args:
            block: where the frames lie in the cache.
            latents: [B, F, C, h, w] float.
            step: index of the timestep.
            prompt_kv: keys and values of the prompt per layer.

        Returns:
            [B, F, C, h, w] in the transformer's type.
        """
        condition = self._steps[step]
        x = self._layers(block, latents, condition, prompt_kv, len(self._transformer.layers))
        flow: Tensor = self._transformer.head(x, condition.e)
        return flow

    def write(self, block: CacheBlock, latents: Tensor, prompt_kv: Sequence[PromptKV]) -> None:
        """Write the keys and values of clean latents [B, F, C, h, w]; stops at those of the last layer."""
        last = len(self._transformer.layers) - 1
        x = self._layers(block, latents, self._clean, prompt_kv, last)
        block.store(last, *self._transformer.layers[last].keys_values(x, self._clean.modulations[last]))

    def _layers(
        self, block: CacheBlock, latents: Tensor, condition: Condition, prompt_kv: Sequence[PromptKV], count: int
    ) -> Tensor:
        """Return what the first layers make of latents: [B, F, C, h, w] -> [B, F, S, D]."""
        x = self._transformer.embed_patches(latents)
        if self.fused:
            tokens = x.flatten(1, 2)
            for index in range(count):
                tokens = self.fused[index].run(tokens, condition.modulations[index], block, index, prompt_kv[index])
            return tokens.view(x.shape)
        for index in range(count):
            x = self._transformer.layers[index].run(
                x, condition.modulations[index], block.attend(index), prompt_kv[index]
            )
        return x


def _by_head(x: Tensor) -> Tensor:
    return x.transpose(1, 2).contiguous().transpose(1, 2)
