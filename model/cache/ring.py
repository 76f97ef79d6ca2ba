"""The ring cache: the keys and values of the window, one buffer a layer, overwritten in place.

Slots are latent frames: first the sink's, then a ring. Keys are stored after RoPE and attention without a mask does
not care about their order, so a block's keys go into the oldest block's slots and nothing is moved:

    block = cache.begin(block_frames)          # where the block's frames go, what they see, their rotations
    for every forward of the block:
        attend = block.attend(layer)           # stores k and v, attends to all that is visible
    cache.commit(block)                        # after the clean pass: the frames are now past

What is valid is always a prefix of the buffer: it fills up once, and from then on it is full.
"""

import copy
from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from longtake.model.config import GeneratorConfig
from longtake.model.errors import WorldError
from longtake.model.network.rope import Rope, rotate, turn
from longtake.model.ops.attention import Attention


class CacheState(NamedTuple):
    """A copy of a cache's contents: what `RingCache.load` brings back exactly."""

    first_frame: int
    end_frame: int
    ring_first: int
    sink_shift: int
    keys: Tensor
    values: Tensor
    unrotated_sink_keys: Tensor


class CacheBlock:
    """Frames that are being computed into the cache. Made by `RingCache.begin`.

    Attributes:
        first_frame: index in the take of the first latent frame.
        frames: how many latent frames.
        visible_frames: slots that the frames see, their own included.
    """

    def __init__(self, cache: "RingCache", first_frame: int, group_frames: Sequence[int]) -> None:
        self.first_frame = first_frame
        self.frames = sum(group_frames)
        self.visible_frames = cache.frames_with(self.frames)
        self._cache = cache
        tokens = cache.frame_tokens
        self._runs = [
            (slice(slot * tokens, (slot + count) * tokens), slice(start * tokens, (start + count) * tokens))
            for slot, start, count in cache.slot_runs(first_frame, self.frames)
        ]
        self._groups = self._visible_by_group(group_frames, tokens)
        self._table = cache.rope.table(range(first_frame, first_frame + self.frames))
        new_sink = min(cache.first_frame + cache.sink_frames, first_frame + self.frames) - first_frame
        self._sink_tokens = max(0, new_sink) * tokens if cache.relative else 0
        self._attends = [partial(self._attend, layer) for layer in range(cache.layers)]

    @property
    def table(self) -> Tensor:
        """The rotations of the frames, from `Rope.table`."""
        return self._table

    @property
    def layout_key(self) -> tuple[object, ...]:
        """Where in the buffer the frames lie and what they see: equal where forwards differ in `table` only."""
        runs = tuple((slots.start, slots.stop, tokens.start) for slots, tokens in self._runs)
        groups = tuple((queries.start, queries.stop, seen) for queries, seen in self._groups)
        return runs, groups, self._sink_tokens

    def with_rope(self, table: Tensor) -> "CacheBlock":
        """Return the same block with other rotations."""
        other = copy.copy(self)
        other._table = table
        other._attends = [partial(other._attend, layer) for layer in range(self._cache.layers)]
        return other

    def _visible_by_group(self, group_frames: Sequence[int], tokens: int) -> list[tuple[slice, int]]:
        """Return for each group its query tokens and how many tokens of the buffer it sees."""
        groups, start = [], 0
        for count in group_frames:
            seen = self.visible_frames - self.frames + start + count
            groups.append((slice(start * tokens, (start + count) * tokens), seen * tokens))
            start += count
        return groups

    def attend(self, layer: int) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        """Return the self-attention of a layer, for `Layer.forward`."""
        return self._attends[layer]

    def store(self, layer: int, k: Tensor, v: Tensor) -> None:
        """Write keys (normed, before RoPE) and values: [B, F, S, heads, head_dim] each."""
        self._keep_unrotated(layer, by_head(k))
        self._put(layer, by_head(rotate(k, self._table)), by_head(v))

    def attend_pair(self, layer: int, qk: Tensor, v: Tensor, attention: Attention) -> Tensor:
        """Self-attention of a layer in fewer passes: the same as `attend`, for inference.

        Args:
            layer: its index.
            qk: queries and keys of all the frames' tokens, [B, T, 2, heads, head_dim] float32, normed, before RoPE;
                overwritten.
            v: [B, T, heads, head_dim] in the cache's type.
            attention: instead of the cache's.

        Returns:
            [B, T, heads, head_dim] like v.
        """
        q, k = (x.transpose(1, 2) for x in qk.unbind(2))
        self._keep_unrotated(layer, k)
        turn(qk, self._table.flatten(0, 1)[:, None, None])
        self._put(layer, k, v.transpose(1, 2))
        return self._attend_visible(layer, q.to(v.dtype), attention).transpose(1, 2)

    def _attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        self.store(layer, k, v)
        seen = self._attend_visible(layer, by_head(rotate(q, self._table)).to(q.dtype), self._cache.attention)
        attended: Tensor = seen.transpose(1, 2).unflatten(1, (self.frames, self._cache.frame_tokens))
        return attended

    def _put(self, layer: int, k: Tensor, v: Tensor) -> None:
        """Write keys after RoPE and values, [B, heads, T, head_dim] each, into the frames' slots."""
        for slots, tokens in self._runs:
            self._cache.put(layer, slots, k[:, :, tokens], v[:, :, tokens])

    def _keep_unrotated(self, layer: int, k: Tensor) -> None:
        """Copy the keys of frames that become the sink, before RoPE: [B, heads, T, head_dim]."""
        if self._sink_tokens:
            start = self._runs[0][0].start
            plain = k[:, :, : self._sink_tokens]
            self._cache.unrotated_sink_keys[layer][:, :, start : start + self._sink_tokens].copy_(plain)

    def _attend_visible(self, layer: int, q: Tensor, attention: Attention) -> Tensor:
        """Attend with queries after RoPE, [B, heads, T, head_dim], to what each group sees -> the same."""
        keys, values = self._cache.full(layer, self.visible_frames * self._cache.frame_tokens)
        if len(self._groups) == 1:
            return attention(q, keys, values)
        outs = [attention(q[:, :, queries], keys[:, :, :seen], values[:, :, :seen]) for queries, seen in self._groups]
        return torch.cat(outs, dim=2)


def by_head(x: Tensor) -> Tensor:
    """Return a view of [B, F, S, heads, head_dim] as [B, heads, T, head_dim]."""
    return x.flatten(1, 2).transpose(1, 2)


class RingCache:
    """Keys and values of a world's window.

    Args:
        config: window, sink, positions and the transformer's sizes.
        batch: members of the batch.
        rope: the rotations, on the same device.
        attention: what computes self-attention.
        device: where the buffers live.
        dtype: type of keys and values.

    Attributes:
        keys, values: [layers, B, heads, window tokens, head_dim]; keys after RoPE.
        unrotated_sink_keys: the sink's keys before RoPE, [layers, B, heads, sink tokens, head_dim]; empty if positions
            are absolute.
        first_frame: index in the take of the first frame since the cache was last emptied (the sink starts there).
        end_frame: index of the next frame to come.
    """

    def __init__(
        self,
        config: GeneratorConfig,
        *,
        batch: int,
        rope: Rope,
        attention: Attention,
        device: torch.device | str,
        dtype: torch.dtype,
    ) -> None:
        sizes = config.transformer
        self.rope, self.attention = rope, attention
        self.layers = sizes.layers
        self.frame_tokens = sizes.frame_tokens
        self.sink_frames, self.ring_frames = config.sink_frames, config.ring_frames
        self.relative = config.positions == "relative" and config.sink_frames > 0
        shape = (sizes.layers, batch, sizes.heads, config.window_frames * sizes.frame_tokens, sizes.head_dim)
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros_like(self.keys)
        self._by_layer = list(zip(self.keys.unbind(0), self.values.unbind(0), strict=True))
        sink_tokens = config.sink_frames * sizes.frame_tokens if self.relative else 0
        self.unrotated_sink_keys = torch.zeros((*shape[:3], sink_tokens, shape[4]), device=device, dtype=dtype)
        self.restart(0)

    def restart(self, first_frame: int) -> None:
        """Forget everything; the next frame has the given index in the take, and becomes the sink's first."""
        self.first_frame = self.end_frame = first_frame
        self._ring_first = first_frame + self.sink_frames
        self._sink_shift = 0

    def keep_sink(self, next_frame: int) -> None:
        """Forget everything but the sink; the next frame has the given index in the take."""
        if self.end_frame < self.first_frame + self.sink_frames:
            raise WorldError(f"the sink is not full after {self.end_frame - self.first_frame} latent frames")
        self.end_frame = self._ring_first = next_frame

    @property
    def valid_frames(self) -> int:
        """Slots in use."""
        return self.frames_with(0)

    def frames_with(self, frames: int) -> int:
        """Return how many slots are in use once so many more frames are written."""
        end = self.end_frame + frames
        sink = min(self.sink_frames, end - self.first_frame)
        return sink + min(self.ring_frames, max(0, end - self._ring_first))

    def slot(self, frame: int) -> int:
        """Return the slot of a frame that is not yet past."""
        if frame < self.first_frame + self.sink_frames:
            return frame - self.first_frame
        return self.sink_frames + (frame - self._ring_first) % self.ring_frames

    def slot_runs(self, first_frame: int, frames: int) -> list[tuple[int, int, int]]:
        """Return the runs of adjacent slots that frames go to, as (slot, offset of the frame, how many)."""
        runs: list[tuple[int, int, int]] = []
        for offset in range(frames):
            slot = self.slot(first_frame + offset)
            if runs and slot == runs[-1][0] + runs[-1][2]:
                runs[-1] = (runs[-1][0], runs[-1][1], runs[-1][2] + 1)
            else:
                runs.append((slot, offset, 1))
        return runs

    def begin(self, group_frames: Sequence[int]) -> CacheBlock:
        """Start computing the frames that come next.

        Args:
            group_frames: latent frames of each group. A group sees what is past, the groups before it, and itself as
                a whole. Usually one group, a block; several only where they fit without wrapping (a recache).

        Raises:
            WorldError: the frames do not fit.
        """
        frames = sum(group_frames)
        limit = self.ring_frames if len(group_frames) == 1 else 0
        room = max(limit, self.sink_frames + self.ring_frames - self.valid_frames)
        if frames > room:
            raise WorldError(f"{frames} latent frames do not fit in the {room} that the cache has room for")
        if self.relative:
            self._place_sink(self.end_frame + frames)
        return CacheBlock(self, self.end_frame, group_frames)

    def commit(self, block: CacheBlock) -> None:
        """Make the block's frames past: what its last forward wrote stays."""
        if block.first_frame != self.end_frame:
            raise WorldError(f"block at latent frame {block.first_frame} committed where {self.end_frame} is next")
        self.end_frame += block.frames

    def put(self, layer: int, slots: slice, keys: Tensor, values: Tensor) -> None:
        """Write a layer's keys (after RoPE) and values, [B, heads, tokens, head_dim] each, into slots of tokens."""
        for kept, new in zip(self._by_layer[layer], (keys, values), strict=True):
            kept.narrow(2, slots.start, slots.stop - slots.start).copy_(new)

    def full(self, layer: int, tokens: int) -> tuple[Tensor, Tensor]:
        """Return a layer's first keys and values, [B, heads, tokens, head_dim] each, to be read at once."""
        keys, values = self._by_layer[layer]
        if tokens == keys.shape[2]:
            return keys, values
        return keys[:, :, :tokens], values[:, :, :tokens]

    def save(self) -> CacheState:
        """Return a copy of what is valid."""
        tokens = self.valid_frames * self.frame_tokens
        keys, values = self.keys[..., :tokens, :].clone(), self.values[..., :tokens, :].clone()
        counters = self.first_frame, self.end_frame, self._ring_first, self._sink_shift
        return CacheState(*counters, keys, values, self.unrotated_sink_keys.clone())

    def load(self, state: CacheState) -> None:
        """Bring back a saved copy, of a cache of the same sizes."""
        self.first_frame, self.end_frame, self._ring_first, self._sink_shift = state[:4]
        tokens = self.valid_frames * self.frame_tokens
        self.keys[..., :tokens, :].copy_(state.keys)
        self.values[..., :tokens, :].copy_(state.values)
        self.unrotated_sink_keys.copy_(state.unrotated_sink_keys)

    def _place_sink(self, end_frame: int) -> None:
        """Turn the sink's keys so that it lies right before the oldest frame of a window that ends at end_frame.

        Only differences of positions matter, so the ring's keys stay as they are, at their own indices. Rotated
        from the plain copy each time: turning rounded keys again and again adds up to nonsense within an hour.
        """
        valid = min(self.sink_frames, self.end_frame - self.first_frame)
        oldest = max(self._ring_first, end_frame - self.ring_frames)
        shift = oldest - self.sink_frames - self.first_frame
        if not valid or shift == self._sink_shift:
            return
        self._sink_shift = shift
        first = self.first_frame + shift
        table = self.rope.table(range(first, first + valid)).flatten(0, 1)
        tokens = valid * self.frame_tokens
        plain = self.unrotated_sink_keys[..., :tokens, :].unflatten(-1, (-1, 2)).float()
        turned = torch.view_as_real(torch.view_as_complex(plain) * table).flatten(-2)
        self._put_sink_keys(tokens, turned)

    def _put_sink_keys(self, tokens: int, keys: Tensor) -> None:
        self.keys[..., :tokens, :].copy_(keys)
