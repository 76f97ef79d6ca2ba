"""The ring cache with keys and values in eight bits (e4m3): half the memory of a world, for some exactness.

For an attention at full width every head of every token has a scale of its own, a power of two: rounding costs the
lower bits and nothing else, and what is read back is exact in bf16. Attention reads full-width copies, made again in
each layer of each forward, so this saves memory and no time.

An attention that takes e4m3 itself (`Fp8Attention`) reads the ring as it lies, which saves both. Its scales are for
whole heads, and the ring's contents change all the time, so there the scale is one.
"""

import torch
from torch import Tensor

from longtake.model.cache.base import CacheState
from longtake.model.cache.ring import RingCache
from longtake.model.config import GeneratorConfig
from longtake.model.network.rope import Rope
from longtake.model.ops.attention import Attention
from longtake.model.ops.attention.fp8 import Fp8Attention, saturated
from longtake.model.ops.linear.fp8 import E4M3, LARGEST_E4M3


def quantise(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return x [..., width] in e4m3, and the power of two [..., 1] to multiply it by, in x's type."""
    largest = x.abs().amax(dim=-1, keepdim=True).float()
    # At least 2^-100, so that zeros divide. The largest value comes to lie between 224 and 448.
    exponent = torch.frexp(largest / LARGEST_E4M3).exponent.clamp_min(-100)
    scale = torch.ldexp(torch.ones_like(largest), exponent)
    return (x.float() / scale).to(E4M3), scale.to(x.dtype)


class Fp8Cache(RingCache):
    """See the module; arguments as `RingCache`, whose `keys` and `values` are e4m3 here.

    Attributes:
        key_scales, value_scales: [layers, B, heads, window tokens, 1]; empty if the scale is one.
        dtype: of what is stored and read.
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
        super().__init__(config, batch=batch, rope=rope, attention=attention, device=device, dtype=E4M3)
        self.dtype = dtype
        self._unscaled = isinstance(attention, Fp8Attention)
        self.unrotated_sink_keys = self.unrotated_sink_keys.to(dtype)
        tokens = 0 if self._unscaled else self.keys.shape[3]
        self.key_scales = torch.ones((*self.keys.shape[:3], tokens, 1), device=device, dtype=dtype)
        self.value_scales = torch.ones_like(self.key_scales)
        # One layer's, for attention to read; every layer overwrites it.
        shape = (0,) if self._unscaled else self.keys.shape[1:]
        self._full_keys = torch.zeros(shape, device=device, dtype=dtype)
        self._full_values = torch.zeros_like(self._full_keys)

    def buffers(self) -> dict[str, Tensor]:
        """See `RingCache.buffers`."""
        scales = {"key_scales": self.key_scales, "value_scales": self.value_scales}
        return {**super().buffers(), **scales}

    def put(self, layer: int, slots: slice, keys: Tensor, values: Tensor) -> None:
        """See `RingCache.put`."""
        if self._unscaled:
            super().put(layer, slots, saturated(keys), saturated(values))
            return
        for x, kept, scales in (
            (keys, self.keys, self.key_scales),
            (values, self.values, self.value_scales),
        ):
            quantised, scale = quantise(x)
            kept[layer][:, :, slots].copy_(quantised)
            scales[layer][:, :, slots].copy_(scale)

    def layer(self, index: int) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """See `RingCache.layer`."""
        if self._unscaled:
            return super().layer(index)
        return self.keys[index], self.values[index], self.key_scales[index], self.value_scales[index]

    def full(self, layer: int, tokens: int) -> tuple[Tensor, Tensor]:
        """See `RingCache.full`; good until another layer's are asked for. In e4m3 if the scale is one."""
        if self._unscaled:
            return super().full(layer, tokens)
        for kept, scales, full in (
            (self.keys, self.key_scales, self._full_keys),
            (self.values, self.value_scales, self._full_values),
        ):
            full[:, :, :tokens].copy_(kept[layer][:, :, :tokens]).mul_(scales[layer][:, :, :tokens])
        return self._full_keys[:, :, :tokens], self._full_values[:, :, :tokens]

    def save(self) -> CacheState:
        """See `WorldCache`; at full width, which `load` turns back into the same eight bits."""
        tokens = self.valid_frames * self.frame_tokens
        keys = torch.empty_like(self.keys[..., :tokens, :], dtype=self.dtype)
        values = torch.empty_like(keys)
        for layer in range(self.layers):
            for kept, full in zip((keys, values), self.full(layer, tokens), strict=True):
                kept[layer].copy_(full)
        return CacheState(*self._counters(), keys, values, self.unrotated_sink_keys.clone())

    def load(self, state: CacheState) -> None:
        """See `WorldCache`."""
        self._load_counters(state)
        tokens = slice(0, self.valid_frames * self.frame_tokens)
        for layer in range(self.layers):
            self.put(layer, tokens, state.keys[layer].to(self.dtype), state.values[layer].to(self.dtype))
        self.unrotated_sink_keys.copy_(state.unrotated_sink_keys)

    def _put_sink_keys(self, tokens: int, keys: Tensor) -> None:
        if self._unscaled:
            super()._put_sink_keys(tokens, saturated(keys))
            return
        quantised, scale = quantise(keys.to(self.dtype))
        self.keys[..., :tokens, :].copy_(quantised)
        self.key_scales[..., :tokens, :].copy_(scale)
