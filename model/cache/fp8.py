"""The ring cache with keys and values in eight bits (e4m3): half the memory a world takes, for some exactness.

Every head of every token has a scale of its own, a power of two: the leading bits are all that is lost to rounding,
and what is read back is exact in bf16. Attention reads full-width copies, made anew in each layer of each forward, so
this saves memory and no time; an attention that takes eight bits itself would save both.
"""

import torch
from torch import Tensor

from longtake.model.cache.ring import CacheState, RingCache
from longtake.model.config import GeneratorConfig
from longtake.model.errors import BackendError
from longtake.model.network.rope import Rope
from longtake.model.ops.attention import Attention
from longtake.model.ops.linear import E4M3, LARGEST_E4M3

_NAMES = ("plain", "fp8")


def cache_names() -> list[str]:
    """Return what keys and values can be kept as."""
    return list(_NAMES)


def cache_class(name: str) -> type[RingCache]:
    """Return the named cache; raises BackendError for another name."""
    if name not in _NAMES:
        raise BackendError(f"no cache is called {name!r}; there are {', '.join(_NAMES)}")
    return Fp8Cache if name == "fp8" else RingCache


def cache_bytes(name: str, config: GeneratorConfig, dtype: torch.dtype) -> int:
    """Return the memory that a world's keys and values take, for each member of the batch."""
    sizes = config.transformer
    tokens = config.window_frames * sizes.frame_tokens
    full = 2 * tokens * sizes.dim * dtype.itemsize
    if name != "fp8":
        return sizes.layers * full
    return sizes.layers * 2 * tokens * (sizes.dim * E4M3.itemsize + sizes.heads * dtype.itemsize) + full


def quantise(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return x [..., width] in e4m3, and the power of two [..., 1] that it is to be multiplied by, in x's type."""
    largest = x.abs().amax(dim=-1, keepdim=True).float()
    # At least 2^-100, so that zeros divide; the largest value comes to 224 to 448.
    exponent = torch.frexp(largest / LARGEST_E4M3).exponent.clamp_min(-100)
    scale = torch.ldexp(torch.ones_like(largest), exponent)
    return (x.float() / scale).to(E4M3), scale.to(x.dtype)


class Fp8Cache(RingCache):
    """See the module; arguments as `RingCache`, whose `keys` and `values` are e4m3 here.

    Attributes:
        key_scales, value_scales: [layers, B, heads, window tokens, 1].
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
        self.unrotated_sink_keys = self.unrotated_sink_keys.to(dtype)
        self.key_scales = torch.ones((*self.keys.shape[:-1], 1), device=device, dtype=dtype)
        self.value_scales = torch.ones_like(self.key_scales)
        # One layer's, for attention to read; every layer overwrites it.
        self._full_keys = torch.zeros(self.keys.shape[1:], device=device, dtype=dtype)
        self._full_values = torch.zeros_like(self._full_keys)

    def put(self, layer: int, slots: slice, keys: Tensor, values: Tensor) -> None:
        """See `RingCache.put`."""
        for x, kept, scales in (
            (keys, self.keys, self.key_scales),
            (values, self.values, self.value_scales),
        ):
            quantised, scale = quantise(x)
            kept[layer][:, :, slots].copy_(quantised)
            scales[layer][:, :, slots].copy_(scale)

    def full(self, layer: int, tokens: int) -> tuple[Tensor, Tensor]:
        """See `RingCache.full`; good until another layer's are asked for."""
        for kept, scales, full in (
            (self.keys, self.key_scales, self._full_keys),
            (self.values, self.value_scales, self._full_values),
        ):
            full[:, :, :tokens].copy_(kept[layer][:, :, :tokens]).mul_(scales[layer][:, :, :tokens])
        return self._full_keys[:, :, :tokens], self._full_values[:, :, :tokens]

    def save(self) -> CacheState:
        """See `RingCache.save`; at full width, which `load` turns back into the same eight bits."""
        counters = self.first_frame, self.end_frame, self._ring_first, self._sink_shift
        tokens = self.valid_frames * self.frame_tokens
        keys = torch.empty_like(self.keys[..., :tokens, :], dtype=self.dtype)
        values = torch.empty_like(keys)
        for layer in range(self.layers):
            for kept, full in zip((keys, values), self.full(layer, tokens), strict=True):
                kept[layer].copy_(full)
        return CacheState(*counters, keys, values, self.unrotated_sink_keys.clone())

    def load(self, state: CacheState) -> None:
        """See `RingCache.load`."""
        self.first_frame, self.end_frame, self._ring_first, self._sink_shift = state[:4]
        tokens = slice(self.valid_frames * self.frame_tokens)
        for layer in range(self.layers):
            self.put(layer, tokens, state.keys[layer].to(self.dtype), state.values[layer].to(self.dtype))
        self.unrotated_sink_keys.copy_(state.unrotated_sink_keys)

    def _put_sink_keys(self, tokens: int, keys: Tensor) -> None:
        quantised, scale = quantise(keys.to(self.dtype))
        self.keys[..., :tokens, :].copy_(quantised)
        self.key_scales[..., :tokens, :].copy_(scale)
