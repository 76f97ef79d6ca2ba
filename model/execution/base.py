"""What runs a pass of the transformer, and what it is conditioned on.

Denoising reads the cache and overwrites only the block's own slots (`flow`); the clean pass leaves the values that stay
(`write`).
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from longtake.model.cache.base import CacheBlock
from longtake.model.network.layers import PromptKV
from longtake.model.network.transformer import Condition, Transformer

CLEAN_TIMESTEP = 0.0
CLEAN = -1
"""the clean pass among the steps of the sampler"""
KEPT_CONDITIONS = 64
"""how many conditions of steered blocks are kept"""

Actions = tuple[float, ...]
"""What a latent frame was made under: a value for each axis of the model; empty for all at rest."""
FrameActions = Sequence[Actions]
"""One for each of some frames, or one for all of them; empty for all at rest."""


class Executor(Protocol):
    """Runs a transformer with final weights at the sampler's timesteps."""

    @property
    def warm_up_frames(self) -> Sequence[int]:
        """Numbers of latent frames to run once before the first world opens; empty if nothing has to warm up."""
        ...

    @property
    def slots_are_data(self) -> bool:
        """True if passes read the frames' slots from `RingBlock.slots`, so that a recording serves every place."""
        ...

    def prompt_kv(self, text: Tensor) -> list[PromptKV]:
        """text: [B, L, D] from `Transformer.embed_text` -> keys and values per layer, laid out as passes read them."""
        ...

    def condition(self, step: int, actions: FrameActions = ()) -> Condition:
        """Return what a pass is modulated by; for the same arguments it is the same object, as long as it is kept.

        Args:
            step: index of the timestep, or `CLEAN`.
            actions: what the frames are made under.
        """
        ...

    def flow(
        self, block: CacheBlock, latents: Tensor, step: int, prompt_kv: Sequence[PromptKV], condition: Condition
    ) -> Tensor:
        """Return the flow of noisy latents at a step of the sampler.

        Args:
            block: the frames' place in the cache.
            latents: [B, F, C, h, w] float.
            step: index of the timestep.
            prompt_kv: from `prompt_kv`.
            condition: from `condition` at this step.

        Returns:
            [B, F, C, h, w] in the transformer's type; good until the next call.
        """
        ...

    def write(self, block: CacheBlock, latents: Tensor, prompt_kv: Sequence[PromptKV], condition: Condition) -> None:
        """Write the keys and values of clean latents [B, F, C, h, w] into the cache; `condition` is at `CLEAN`."""
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
    """The conditions of passes: by the sampler's step (or `CLEAN`), and by the actions of the frames.

    Modulation depends on the timestep and the actions alone. The sampler knows a handful of timesteps, so they are
    computed once; actions that change are computed once for each block, and not in the loop.

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
        self._transformer, self._prepare = transformer, prepare
        self._timesteps = dict(enumerate(timesteps)) | {CLEAN: CLEAN_TIMESTEP}
        self._at_rest = {step: self._make(step, None) for step in self._timesteps}
        self._steered: OrderedDict[tuple[int, Actions], Condition] = OrderedDict()

    def at(self, step: int, actions: FrameActions = ()) -> Condition:
        """Return the condition of a pass; see `Executor.condition`."""
        if all(not any(each) for each in actions):
            return self._at_rest[step]
        first = tuple(actions[0])
        if any(tuple(each) != first for each in actions):
            # A recache of frames that were steered differently; it will hardly come again.
            return self._make(step, actions)
        key = step, first
        if key not in self._steered:
            self._steered[key] = self._make(step, [first])
            if len(self._steered) > KEPT_CONDITIONS:
                self._steered.popitem(last=False)
        self._steered.move_to_end(key)
        return self._steered[key]

    def _make(self, step: int, actions: FrameActions | None) -> Condition:
        """Compute a condition: for each frame if there is a vector for each, or one for all frames."""
        device = self._transformer.patch_embedding.weight.device
        frames = 1 if actions is None else len(actions)
        t = torch.full((1, frames), self._timesteps[step], dtype=torch.float32, device=device)
        # A frame at rest may come with no vector.
        rows = [list(each) or [0.0] * self._transformer.config.actions for each in actions or ()]
        vectors = torch.tensor([rows], dtype=torch.float32, device=device) if rows else None
        with torch.inference_mode():
            return self._prepare(self._transformer.condition(t, vectors))


class WithConditions:
    """What executors share that take the transformer's own conditions and prompt keys.

    Args:
        transformer: with its final weights.
        timesteps: of the sampler, 0 to 1000.
    """

    def __init__(self, transformer: Transformer, timesteps: Sequence[float]) -> None:
        self._transformer = transformer
        self._conditions = Conditions(transformer, timesteps)

    def prompt_kv(self, text: Tensor) -> list[PromptKV]:
        """See `Executor`."""
        return [as_attention_reads(pair) for pair in self._transformer.prompt_kv(text)]

    def condition(self, step: int, actions: FrameActions = ()) -> Condition:
        """See `Executor`."""
        return self._conditions.at(step, actions)


def as_attention_reads(pair: PromptKV) -> PromptKV:
    """Lay keys and values [B, L, heads, head_dim] out by head, once, behind a view of the same shape."""
    k, v = (x.transpose(1, 2).contiguous().transpose(1, 2) for x in pair)
    return k, v
