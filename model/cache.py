"""The ring cache: the keys and values of the window, one buffer a layer, overwritten in place.

Slots are latent frames: first the sink's, then a ring. Keys are stored after RoPE and attention without a mask does
not care about their order, so a block's keys go into the oldest block's slots and nothing is moved:

    block = cache.begin(block_frames)          # where the block's frames go, what they see, their rotations
    for every forward of the block:
        attend = block.attend(layer)           # stores k and v, attends to all that is visible
    cache.commit(block)                        # after the clean pass: the frames are now past

What is valid is always a prefix of the buffer: it fills up once, and from then on it is full.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import NamedTuple

import torch
from torch import Tensor

from longtake.model.attention import Attention
from longtake.model.config import GeneratorConfig
from longtake.model.errors import WorldError
from longtake.model.rope import Rope, rotate


class CacheState(NamedTuple):
    """A copy of a cache's contents: what `RingCache.load` brings back exactly."""

    first_frame: int
    end_frame: int
    ring_first: int
    sink_shift: int
    keys: Tensor
    values: Tensor
    plain_sink: Tensor


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
        self._plain_sink_tokens = max(0, new_sink) * tokens if cache.relative else 0
        self._attends = [partial(self._attend, layer) for layer in range(cache.layers)]

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
        cache = self._cache
        keys, values = cache.keys[layer], cache.values[layer]
        rotated = rotate(k, self._table).flatten(1, 2).transpose(1, 2)
        v = v.flatten(1, 2).transpose(1, 2)
        for slots, tokens in self._runs:
            keys[:, :, slots].copy_(rotated[:, :, tokens])
            values[:, :, slots].copy_(v[:, :, tokens])
        if self._plain_sink_tokens:
            start = self._runs[0][0].start
            plain = k.flatten(1, 2).transpose(1, 2)[:, :, : self._plain_sink_tokens]
            cache.plain_sink[layer][:, :, start : start + self._plain_sink_tokens].copy_(plain)

    def _attend(self, layer: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        self.store(layer, k, v)
        cache = self._cache
        keys, values = cache.keys[layer], cache.values[layer]
        rotated = rotate(q, self._table).to(q.dtype).flatten(1, 2).transpose(1, 2)
        outs = [
            cache.attention(rotated[:, :, queries], keys[:, :, :seen], values[:, :, :seen])
            for queries, seen in self._groups
        ]
        out = outs[0] if len(outs) == 1 else torch.cat(outs, dim=2)
        attended: Tensor = out.transpose(1, 2).unflatten(1, (self.frames, cache.frame_tokens))
        return attended


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
        plain_sink: the sink's keys before RoPE, [layers, B, heads, sink tokens, head_dim]; empty where positions are
            absolute.
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
        sink_tokens = config.sink_frames * sizes.frame_tokens if self.relative else 0
        self.plain_sink = torch.zeros((*shape[:3], sink_tokens, shape[4]), device=device, dtype=dtype)
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

    def save(self) -> CacheState:
        """Return a copy of what is valid."""
        tokens = self.valid_frames * self.frame_tokens
        keys, values = self.keys[..., :tokens, :].clone(), self.values[..., :tokens, :].clone()
        counters = self.first_frame, self.end_frame, self._ring_first, self._sink_shift
        return CacheState(*counters, keys, values, self.plain_sink.clone())

    def load(self, state: CacheState) -> None:
        """Bring back a saved copy, of a cache of the same sizes."""
        self.first_frame, self.end_frame, self._ring_first, self._sink_shift = state[:4]
        tokens = self.valid_frames * self.frame_tokens
        self.keys[..., :tokens, :].copy_(state.keys)
        self.values[..., :tokens, :].copy_(state.values)
        self.plain_sink.copy_(state.plain_sink)

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
        plain = self.plain_sink[..., :tokens, :].unflatten(-1, (-1, 2)).float()
        turned = torch.view_as_real(torch.view_as_complex(plain) * table).flatten(-2)
        self.keys[..., :tokens, :].copy_(turned)
