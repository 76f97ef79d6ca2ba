"""What all caches of a window share: they rotate, store and attend. Subclasses keep the keys and values."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import partial
from typing import Generic, TypeVar

import torch
from torch import Tensor

from longtake.model.cache.base import CacheBlock, CacheState
from longtake.model.cache.layout import BlockLayout, Window
from longtake.model.config import GeneratorConfig
from longtake.model.network.layers import Attend
from longtake.model.network.rope import Rope, rotate, turn
from longtake.model.ops.attention import Attention


class WindowBlock(ABC):
    """Frames that are being computed into a cache; see `longtake.model.cache.base.CacheBlock`.

    Args:
        cache: what they are computed into.
        layout: where they go.
    """

    def __init__(self, cache: "WindowCache[WindowBlock]", layout: BlockLayout) -> None:
        self.layout = layout
        self.first_frame, self.frames = layout.first_frame, layout.frames
        self._attention = cache.attention
        self._frame_tokens = tokens = cache.frame_tokens
        self._runs = [
            (slice(run.slot * tokens, (run.slot + run.frames) * tokens), _tokens(run.offset, run.frames, tokens))
            for run in layout.runs
        ]
        self._groups = [
            (slice(group.start * tokens, group.end * tokens), group.seen * tokens) for group in layout.groups
        ]
        self._table = cache.rope.table(range(self.first_frame, self.first_frame + self.frames))
        self._sink_tokens = layout.new_sink_frames * tokens if cache.relative else 0
        self._layers = cache.layers
        self._attends = [partial(self._attend, layer) for layer in range(self._layers)]

    @property
    def table(self) -> Tensor:
        """See `CacheBlock`."""
        return self._table

    @property
    def layout_key(self) -> tuple[object, ...]:
        """See `CacheBlock`."""
        return self.layout.runs, self.layout.groups, self._sink_tokens

    def attend(self, layer: int) -> Attend:
        """See `CacheBlock`."""
        return self._attends[layer]

    def store(self, layer: int, k: Tensor, v: Tensor) -> None:
        """See `CacheBlock`."""
        if self._sink_tokens:
            self._keep_unrotated(layer, by_head(k)[:, :, : self._sink_tokens])
        self._put(layer, by_head(rotate(k, self._table)), by_head(v))

    def attend_pair(self, layer: int, qk: Tensor, v: Tensor, attention: Attention) -> Tensor:
        """See `CacheBlock`."""
        q, k = (x.transpose(1, 2) for x in qk.unbind(2))
        if self._sink_tokens:
            self._keep_unrotated(layer, k[:, :, : self._sink_tokens])
        turn(qk, self._table.flatten(0, 1)[:, None, None])
        self._put(layer, k, v.transpose(1, 2))
        return self._attend_visible(layer, q.to(v.dtype), attention).transpose(1, 2)

    def _attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        self.store(layer, k, v)
        seen = self._attend_visible(layer, by_head(rotate(q, self._table)).to(q.dtype), self._attention)
        attended: Tensor = seen.transpose(1, 2).unflatten(1, (self.frames, self._frame_tokens))
        return attended

    def _attend_visible(self, layer: int, q: Tensor, attention: Attention) -> Tensor:
        """Attend with queries after RoPE, [B, heads, T, head_dim], to what each group sees -> the same."""
        keys, values = self._visible(layer)
        if len(self._groups) == 1:
            return attention(q, keys, values)
        outs = [attention(q[:, :, queries], keys[:, :, :seen], values[:, :, :seen]) for queries, seen in self._groups]
        return torch.cat(outs, dim=2)

    @abstractmethod
    def _put(self, layer: int, k: Tensor, v: Tensor) -> None:
        """Keep keys after RoPE and values, [B, heads, T, head_dim] each, in the frames' slots."""

    @abstractmethod
    def _keep_unrotated(self, layer: int, k: Tensor) -> None:
        """Keep the keys before RoPE of the frames that become the sink: [B, heads, T, head_dim]."""

    @abstractmethod
    def _visible(self, layer: int) -> tuple[Tensor, Tensor]:
        """Return the keys and values of every slot in use, in the order of the slots: [B, heads, T, head_dim] each."""


WindowBlockT = TypeVar("WindowBlockT", bound=WindowBlock, covariant=True)


class WindowCache(ABC, Generic[WindowBlockT]):
    """Keys and values of a take's window; see `longtake.model.cache.base.Cache`.

    Args:
        config: window, sink, positions and the transformer's sizes.
        rope: the rotations, on the same device as keys and values.
        attention: what computes self-attention.

    Attributes:
        window: which frame lies in which slot.
    """

    def __init__(self, config: GeneratorConfig, *, rope: Rope, attention: Attention) -> None:
        self.rope, self.attention = rope, attention
        self.layers = config.transformer.layers
        self.frame_tokens = config.transformer.frame_tokens
        self.relative = config.positions == "relative" and config.sink_frames > 0
        self.window = Window(config.sink_frames, config.ring_frames)
        self._sink_shift = 0

    @property
    def first_frame(self) -> int:
        """See `Cache`."""
        return self.window.first_frame

    @property
    def end_frame(self) -> int:
        """See `Cache`."""
        return self.window.end_frame

    @property
    def sink_frames(self) -> int:
        """See `Cache`."""
        return self.window.sink_frames

    @property
    def valid_frames(self) -> int:
        """Slots in use."""
        return self.window.valid_frames

    def restart(self, first_frame: int) -> None:
        """See `Cache`."""
        self.window.restart(first_frame)
        self._sink_shift = 0

    def keep_sink(self, next_frame: int) -> None:
        """See `Cache`."""
        self.window.keep_sink(next_frame)

    def begin(self, group_frames: Sequence[int]) -> WindowBlockT:
        """See `Cache`."""
        layout = self.window.begin(group_frames)
        if self.relative:
            self._place_sink(layout.first_frame + layout.frames)
        return self._block(layout)

    def commit(self, block: CacheBlock) -> None:
        """See `Cache`."""
        self.window.commit(block.layout)

    def _counters(self) -> tuple[int, int, int, int]:
        return self.first_frame, self.end_frame, self.window.ring_first, self._sink_shift

    def _load_counters(self, state: CacheState) -> None:
        self.window.load(state.first_frame, state.end_frame, state.ring_first)
        self._sink_shift = state.sink_shift

    @abstractmethod
    def _block(self, layout: BlockLayout) -> WindowBlockT:
        """Return a block of this cache."""

    @abstractmethod
    def _rotate_sink(self, frames: int, table: Tensor) -> None:
        """Write the sink's first frames' keys again, from the unrotated ones: table [T, head_dim / 2] complex64."""

    def _place_sink(self, end_frame: int) -> None:
        """Turn the sink's keys so that it lies right before the oldest frame of a window that ends at end_frame.

        Only differences of positions matter, so the ring's keys keep their own indices. The sink is rotated from the
        unrotated copy each time: rotating rounded keys again and again adds up to nonsense within an hour.
        """
        frames, shift = self.window.valid_sink_frames, self.window.sink_shift(end_frame)
        if not frames or shift == self._sink_shift:
            return
        self._sink_shift = shift
        first = self.first_frame + shift
        self._rotate_sink(frames, self.rope.table(range(first, first + frames)).flatten(0, 1))


def by_head(x: Tensor) -> Tensor:
    """Return a view of [B, F, S, heads, head_dim] as [B, heads, T, head_dim]."""
    return x.flatten(1, 2).transpose(1, 2)


def rotated(keys: Tensor, table: Tensor) -> Tensor:
    """Return keys [..., T, head_dim] rotated by a table [T, head_dim / 2] complex64, in float32."""
    pairs = torch.view_as_complex(keys.unflatten(-1, (-1, 2)).float())
    return torch.view_as_real(pairs * table).flatten(-2)


def _tokens(frame: int, frames: int, frame_tokens: int) -> slice:
    return slice(frame * frame_tokens, (frame + frames) * frame_tokens)
