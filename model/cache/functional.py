"""A cache that autograd sees through: keys and values are never written in place. For training on rollouts.

It has the ring's verbs, slots and results. A block keeps what it stores to itself until it is committed, so each
forward of a block starts from the same past, and a step with gradients can lie between steps without.
"""

import torch
from torch import Tensor

from longtake.model.cache.base import CacheBlock, CacheState
from longtake.model.cache.layout import BlockLayout
from longtake.model.cache.window import WindowBlock, WindowCache, rotated
from longtake.model.config import GeneratorConfig
from longtake.model.errors import WorldError
from longtake.model.network.rope import Rope
from longtake.model.ops.attention import Attention

Pair = tuple[Tensor, Tensor]
"""keys after RoPE and values, [B, heads, T, head_dim] each"""


class FunctionalBlock(WindowBlock):
    """Frames that are being computed; `stored` and `unrotated` hold what the last forward left, by layer."""

    def __init__(self, cache: "FunctionalCache", layout: BlockLayout) -> None:
        super().__init__(cache, layout)
        self._past, self._dtype = cache.slots, cache.dtype
        self.stored: list[Pair | None] = [None] * cache.layers
        self.unrotated: list[Tensor | None] = [None] * cache.layers

    def _put(self, layer: int, k: Tensor, v: Tensor) -> None:
        self.stored[layer] = k.to(self._dtype), v.to(self._dtype)

    def _keep_unrotated(self, layer: int, k: Tensor) -> None:
        # Copied: `attend_pair` rotates the keys in place.
        self.unrotated[layer] = k.to(self._dtype, copy=True)

    def _visible(self, layer: int) -> Pair:
        stored = self.stored[layer]
        assert stored is not None, "attention stores before it looks"
        own = dict(zip(self.layout.slots, _by_frame(stored, self._frame_tokens), strict=True))
        pairs = [own.get(slot) or self._past[layer][slot] for slot in range(self.layout.visible_frames)]
        keys, values = zip(*pairs, strict=True)
        return torch.cat(keys, dim=2), torch.cat(values, dim=2)


class FunctionalCache(WindowCache[FunctionalBlock]):
    """See the module.

    Args:
        config: window, sink, positions and the transformer's sizes.
        rope: the rotations, on the device of keys and values.
        attention: what computes self-attention; it must have gradients (`sdpa` and `bmm` do).
        dtype: type of keys and values.
        detach_history: cut the gradient at a block's commit, so that a later block's loss trains that block alone.
            False carries it on through the keys and values of the whole window.

    Attributes:
        slots: keys (after RoPE) and values of each layer's slots.
    """

    def __init__(
        self,
        config: GeneratorConfig,
        *,
        rope: Rope,
        attention: Attention,
        dtype: torch.dtype,
        detach_history: bool = True,
    ) -> None:
        super().__init__(config, rope=rope, attention=attention)
        self.dtype, self.detach_history = dtype, detach_history
        self.slots: list[dict[int, Pair]] = [{} for _ in range(self.layers)]
        self._unrotated: list[dict[int, Tensor]] = [{} for _ in range(self.layers)]

    def restart(self, first_frame: int) -> None:
        """See `Cache`."""
        super().restart(first_frame)
        # New ones: a block begun before still refers to the old.
        self.slots = [{} for _ in range(self.layers)]
        self._unrotated = [{} for _ in range(self.layers)]

    def commit(self, block: CacheBlock) -> None:
        """See `Cache`. Raises WorldError if a layer has stored nothing, or the block is of another cache."""
        if not isinstance(block, FunctionalBlock):
            raise WorldError("the block belongs to a cache of another kind")
        if any(stored is None for stored in block.stored):
            raise WorldError("the block cannot be committed: not every layer has stored its keys and values")
        super().commit(block)
        # Copies: the slots that a block has seen stay as they were for its backward pass.
        self.slots = [dict(slots) for slots in self.slots]
        for layer, stored in enumerate(block.stored):
            assert stored is not None, "checked above"
            frames = _by_frame(stored, self.frame_tokens)
            self.slots[layer].update(zip(block.layout.slots, map(self._history, frames), strict=True))
            unrotated = block.unrotated[layer]
            if unrotated is not None:
                keys = unrotated.split(self.frame_tokens, dim=2)
                self._unrotated[layer].update(
                    (slot, self._cut(key)) for slot, key in zip(block.layout.slots, keys, strict=False)
                )

    def save(self) -> CacheState:
        """See `WorldCache`; without history. Raises WorldError if nothing has been stored yet."""
        if not self.valid_frames:
            raise WorldError("an empty cache cannot be saved: make a block first")
        keys, values = (
            torch.stack([_joined([slots[slot][side] for slot in range(self.valid_frames)]) for slots in self.slots])
            for side in (0, 1)
        )
        sink = keys.new_zeros((*keys.shape[:3], self.sink_frames * self.frame_tokens * self.relative, keys.shape[4]))
        for layer, unrotated in enumerate(self._unrotated):
            for slot, key in unrotated.items():
                sink[layer, :, :, slot * self.frame_tokens : (slot + 1) * self.frame_tokens] = key.detach()
        return CacheState(*self._counters(), keys, values, sink)

    def load(self, state: CacheState) -> None:
        """See `WorldCache`; a ring's state fits too."""
        self._load_counters(state)
        frames = zip(state.keys.to(self.dtype), state.values.to(self.dtype), strict=True)
        self.slots = [dict(enumerate(_by_frame(pair, self.frame_tokens))) for pair in frames]
        sink = self.window.valid_sink_frames if self.relative else 0
        self._unrotated = [
            dict(enumerate(keys.to(self.dtype).split(self.frame_tokens, dim=2)[:sink]))
            for keys in state.unrotated_sink_keys
        ]

    def _block(self, layout: BlockLayout) -> FunctionalBlock:
        return FunctionalBlock(self, layout)

    def _rotate_sink(self, frames: int, table: Tensor) -> None:
        self.slots = [dict(slots) for slots in self.slots]
        for slots, unrotated in zip(self.slots, self._unrotated, strict=True):
            for slot, turns in enumerate(table.split(self.frame_tokens)[:frames]):
                # Contiguous, or the last bits would depend on how the keys came here.
                slots[slot] = rotated(unrotated[slot].contiguous(), turns).to(self.dtype), slots[slot][1]

    def _history(self, pair: Pair) -> Pair:
        return self._cut(pair[0]), self._cut(pair[1])

    def _cut(self, x: Tensor) -> Tensor:
        return x.detach() if self.detach_history else x


def _by_frame(pair: Pair, frame_tokens: int) -> list[Pair]:
    keys, values = (x.split(frame_tokens, dim=2) for x in pair)
    return list(zip(keys, values, strict=True))


def _joined(frames: list[Tensor]) -> Tensor:
    return torch.cat(frames, dim=2).detach()
