"""The ring cache: keys and values in one buffer for each layer, overwritten in place. For inference.

Nothing is moved, cloned or concatenated, and once the window is full attention reads the buffer as it lies.
"""

import copy
from collections.abc import Mapping
from functools import partial
from typing import NamedTuple, Self

import torch
from torch import Tensor

from longtake.model.cache.base import CacheState
from longtake.model.cache.layout import BlockLayout, Window
from longtake.model.cache.window import WindowBlock, WindowCache, rotated
from longtake.model.config import GeneratorConfig
from longtake.model.network.rope import Rope
from longtake.model.ops.attention import Attention


class RingSlots(NamedTuple):
    """Where a kernel writes a layer's keys and values itself.

    Attributes:
        keys, values: the layer's ring, [B, heads, window tokens, head_dim].
        key_scales, value_scales: of a ring in e4m3, [B, heads, window tokens, 1]; otherwise None.
        tokens: the slot of each of the frames' tokens, [T] int64.
        table: their rotations, [F, S, head_dim / 2] complex64.
        sink_keys: the layer's keys before RoPE, [B, heads, sink tokens, head_dim].
        sink_start, sink_tokens: the first of these that the frames write, and how many; none if positions are absolute.
    """

    keys: Tensor
    values: Tensor
    key_scales: Tensor | None
    value_scales: Tensor | None
    tokens: Tensor
    table: Tensor
    sink_keys: Tensor
    sink_start: int
    sink_tokens: int


class RingBlock(WindowBlock):
    """Frames that are being computed into a ring cache."""

    def __init__(self, cache: "RingCache", layout: BlockLayout) -> None:
        super().__init__(cache, layout)
        self._cache = cache
        self._visible_tokens = layout.visible_frames * cache.frame_tokens
        device = cache.keys.device
        runs = [torch.arange(slots.start, slots.stop, device=device) for slots, _ in self._runs]
        self._slots = runs[0] if len(runs) == 1 else torch.cat(runs)

    @property
    def cache(self) -> "RingCache":
        """What the frames are computed into."""
        return self._cache

    @property
    def slots(self) -> Tensor:
        """The slot of each of the frames' tokens, [T] int64."""
        return self._slots

    @property
    def size_key(self) -> tuple[object, ...]:
        """As `layout_key`, but equal for all places in the ring; except for frames of the sink, which has its own."""
        place = self.layout.runs if self._sink_tokens else self.frames
        return place, self.layout.groups, self._sink_tokens

    def with_rope(self, table: Tensor, slots: Tensor | None = None) -> "RingBlock":
        """Return the same block with other rotations, and with other slots for `ring_slots`."""
        other = copy.copy(self)
        other._table = table
        other._slots = self._slots if slots is None else slots
        other._attends = [partial(other._attend, layer) for layer in range(self._layers)]
        return other

    def ring_slots(self, layer: int) -> RingSlots:
        """Return where a kernel writes a layer's keys and values; `attend_written` attends to them."""
        cache = self._cache
        return RingSlots(
            *cache.layer(layer),
            tokens=self._slots,
            table=self._table,
            sink_keys=cache.unrotated_sink_keys[layer],
            sink_start=self._runs[0][0].start if self._sink_tokens else 0,
            sink_tokens=self._sink_tokens,
        )

    def attend_written(self, layer: int, q: Tensor, attention: Attention) -> Tensor:
        """Attend with queries after RoPE to what is visible, the frames' own keys included, already written.

        q: [B, T, heads, head_dim] -> the same.
        """
        return self._attend_visible(layer, q.transpose(1, 2), attention).transpose(1, 2)

    def _put(self, layer: int, k: Tensor, v: Tensor) -> None:
        for slots, tokens in self._runs:
            self._cache.put(layer, slots, k[:, :, tokens], v[:, :, tokens])

    def _keep_unrotated(self, layer: int, k: Tensor) -> None:
        start = self._runs[0][0].start
        self._cache.unrotated_sink_keys[layer][:, :, start : start + self._sink_tokens].copy_(k)

    def _visible(self, layer: int) -> tuple[Tensor, Tensor]:
        return self._cache.full(layer, self._visible_tokens)


class RingCache(WindowCache[RingBlock]):
    """See the module.

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
        super().__init__(config, rope=rope, attention=attention)
        sizes = config.transformer
        shape = (sizes.layers, batch, sizes.heads, config.window_frames * sizes.frame_tokens, sizes.head_dim)
        self.keys = torch.zeros(shape, device=device, dtype=dtype)
        self.values = torch.zeros_like(self.keys)
        self._by_layer = list(zip(self.keys.unbind(0), self.values.unbind(0), strict=True))
        sink_tokens = config.sink_frames * sizes.frame_tokens if self.relative else 0
        self.unrotated_sink_keys = torch.zeros((*shape[:3], sink_tokens, shape[4]), device=device, dtype=dtype)

    def buffers(self) -> dict[str, Tensor]:
        """Return the tensors that hold what is cached, by attribute; each has a first dimension of layers."""
        return {"keys": self.keys, "values": self.values, "unrotated_sink_keys": self.unrotated_sink_keys}

    def use(self, buffers: Mapping[str, Tensor]) -> None:
        """Hold what is cached in the tensors of another cache of the same sizes from now on; copies nothing."""
        for name, buffer in buffers.items():
            setattr(self, name, buffer)
        self._by_layer = list(zip(self.keys.unbind(0), self.values.unbind(0), strict=True))

    def sharing(self) -> Self:
        """Return an empty cache in the same buffers, of which only one may be used at a time."""
        other = copy.copy(self)
        other.window = Window(self.window.sink_frames, self.window.ring_frames)
        other._sink_shift = 0
        return other

    def put(self, layer: int, slots: slice, keys: Tensor, values: Tensor) -> None:
        """Write a layer's keys (after RoPE) and values, [B, heads, tokens, head_dim] each, into slots of tokens."""
        for kept, new in zip(self._by_layer[layer], (keys, values), strict=True):
            kept.narrow(2, slots.start, slots.stop - slots.start).copy_(new)

    def layer(self, index: int) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """Return a layer's keys and values as they lie, and their scales if they have any; see `RingSlots`."""
        return *self._by_layer[index], None, None

    def full(self, layer: int, tokens: int) -> tuple[Tensor, Tensor]:
        """Return a layer's first keys and values, [B, heads, tokens, head_dim] each, to be read at once."""
        keys, values = self._by_layer[layer]
        if tokens == keys.shape[2]:
            return keys, values
        return keys[:, :, :tokens], values[:, :, :tokens]

    def save(self) -> CacheState:
        """See `WorldCache`."""
        tokens = self.valid_frames * self.frame_tokens
        keys, values = self.keys[..., :tokens, :].clone(), self.values[..., :tokens, :].clone()
        return CacheState(*self._counters(), keys, values, self.unrotated_sink_keys.clone())

    def load(self, state: CacheState) -> None:
        """See `WorldCache`."""
        self._load_counters(state)
        tokens = self.valid_frames * self.frame_tokens
        self.keys[..., :tokens, :].copy_(state.keys)
        self.values[..., :tokens, :].copy_(state.values)
        self.unrotated_sink_keys.copy_(state.unrotated_sink_keys)

    def _block(self, layout: BlockLayout) -> RingBlock:
        return RingBlock(self, layout)

    def _rotate_sink(self, frames: int, table: Tensor) -> None:
        tokens = frames * self.frame_tokens
        self._put_sink_keys(tokens, rotated(self.unrotated_sink_keys[..., :tokens, :], table))

    def _put_sink_keys(self, tokens: int, keys: Tensor) -> None:
        """Write the sink's first keys, after RoPE: [layers, B, heads, tokens, head_dim] float32."""
        self.keys[..., :tokens, :].copy_(keys)
