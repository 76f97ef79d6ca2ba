"""What runs a pass of the transformer, and what it is conditioned on.

Denoising reads the cache and overwrites only the block's own slots (`flow`); the clean pass leaves the values that stay
(`write`).
"""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from longtake.model.cache.base import CacheBlock
from longtake.model.network.layers import PromptKV
from longtake.model.network.transformer import Condition, Transformer

CLEAN_TIMESTEP = 0.0


class Executor(Protocol):
    """Runs a transformer with final weights at the sampler's timesteps."""

    @property
    def warm_up_frames(self) -> Sequence[int]:
        """Numbers of latent frames to run once before the first world opens; empty if nothing has to warm up."""
        ...

    def prompt_kv(self, text: Tensor) -> list[PromptKV]:
        """text: [B, L, D] from `Transformer.embed_text` -> keys and values per layer, laid out as passes read them."""
        ...

    def flow(self, block: CacheBlock, latents: Tensor, step: int, prompt_kv: Sequence[PromptKV]) -> Tensor:
        """Return the flow of noisy latents at a step of the sampler.

        Args:
            block: the frames' place in the cache.
            latents: [B, F, C, h, w] float.
            step: index of the timestep.
            prompt_kv: from `prompt_kv`.

        Returns:
            [B, F, C, h, w] in the transformer's type; good until the next call.
        """
        ...

    def write(self, block: CacheBlock, latents: Tensor, prompt_kv: Sequence[PromptKV]) -> None:
        """Write the keys and values of clean latents [B, F, C, h, w] into the cache."""
        ...


class ExecutorFactory(Protocol):
    """Makes an executor of a transformer, whose attention and linears are chosen."""

    def __call__(self, transformer: Transformer, timesteps: Sequence[float], warm_up_frames: Sequence[int]) -> Executor:
        """Return the executor.

        Args:
            transformer: with its final weights; make another executor when they change.
            timesteps: of the sampler, 0 to 1000.
            warm_up_frames: numbers of latent frames that a live world meets at every block and every prompt change.
        """
        ...


class Conditions:
    """The condition of every pass of a block: the sampler's steps, and the clean pass.

    Modulation depends on the timestep alone and the sampler knows a handful, so it is computed once and not in the
    loop. What a block adds to it (actions) belongs here: computed once for each block, for all its passes.

    Args:
        transformer: with its final weights.
        timesteps: of the sampler.
        prepare: applied to each condition once.
    """

    def __init__(
        self,
        transformer: Transformer,
        timesteps: Sequence[float],
        prepare: Callable[[Condition], Condition] = lambda condition: condition,
    ) -> None:
        def at(timestep: float) -> Condition:
            t = torch.tensor([[timestep]], dtype=torch.float32, device=transformer.patch_embedding.weight.device)
            with torch.inference_mode():
                return prepare(transformer.condition(t))

        self.steps = [at(timestep) for timestep in timesteps]
        self.clean = at(CLEAN_TIMESTEP)


def as_attention_reads(pair: PromptKV) -> PromptKV:
    """Lay keys and values [B, L, heads, head_dim] out by head, once, behind a view of the same shape."""
    k, v = (x.transpose(1, 2).contiguous().transpose(1, 2) for x in pair)
    return k, v
