"""The ring cache: keys and values in one buffer for each layer, overwritten in place. For inference.

Nothing is moved, cloned or concatenated, and once the window is full attention reads the buffer as it lies.
"""

import copy
from functools import partial

import torch
from torch import Tensor

from longtake.model.cache.base import CacheState
from longtake.model.cache.layout import BlockLayout
from longtake.model.cache.window import WindowBlock, WindowCache, rotated
from longtake.model.config import GeneratorConfig
from longtake.model.network.rope import Rope
from longtake.model.ops.attention import Attention


class RingBlock(WindowBlock):
    """Frames that are being computed into a ring cache."""

    def __init__(self, cache: "RingCache", layout: BlockLayout) -> None:
        super().__init__(cache, layout)
        self._cache = cache
        self._visible_tokens = layout.visible_frames * cache.frame_tokens

    def with_rope(self, table: Tensor) -> "RingBlock":
        """Return the same block with other rotations."""
        other = copy.copy(self)
        other._table = table
        other._attends = [partial(other._attend, layer) for layer in range(self._layers)]
        return other

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
