"""Attention in eight bits: queries, keys and values in e4m3.

A ring that is kept in e4m3 is handed over as it lies (`longtake.model.cache.fp8`): no full-width copy is made. Keys and
values that come at full width are quantised here, with a scale for each head.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from longtake.model.ops.linear.fp8 import E4M3, LARGEST_E4M3

E4m3Product = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], Tensor]
"""q, k, v [B, heads, tokens, head_dim] in e4m3, and what to multiply k and v by, [B, heads] float32 each -> bf16."""


class Fp8Attention:
    """An attention (see `longtake.model.ops.attention.base`) that computes in e4m3.

    Queries and keys are normed before RoPE, so they fit the format's range as they are: e4m3 is a floating format, and
    a scale would not make it finer. Values are bounded by nothing.

    Args:
        product: what attends to e4m3.
        smooth: subtract the mean key before quantising; the softmax does not change, and the rest is rounded less
            coarsely. It has no effect on a ring in e4m3, whose keys are rounded already.
    """

    def __init__(self, product: E4m3Product, *, smooth: bool = True) -> None:
        self._product, self._smooth = product, smooth

    def __call__(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """q, k, v: [B, heads, tokens, head_dim]; k and v may be e4m3 -> the shape and type of q."""
        if k.dtype != E4M3 and self._smooth:
            k = k - k.mean(dim=2, keepdim=True)
        k, key_scale = _by_head(k)
        v, value_scale = _by_head(v)
        return self._product(saturated(q), k, v, key_scale, value_scale).to(q.dtype)


def saturated(x: Tensor) -> Tensor:
    """Return x in e4m3 without a scale; what is out of range becomes the largest number instead of NaN."""
    return x.clamp(-LARGEST_E4M3, LARGEST_E4M3).to(E4M3)


def emulated(q: Tensor, k: Tensor, v: Tensor, key_scale: Tensor, value_scale: Tensor) -> Tensor:
    """Attend as flash-attn 3 does in e4m3, in fp32 on any device: to measure the error, and for tests.

    The weights before their division are rounded to e4m3 too, because they are a factor of the second product.
    """
    scores = q.float() @ k.float().transpose(-1, -2) * (key_scale[..., None, None] * q.shape[-1] ** -0.5)
    weights = (scores - scores.amax(dim=-1, keepdim=True)).exp()
    out = weights.to(E4M3).float() @ v.float() / weights.sum(dim=-1, keepdim=True)
    scaled: Tensor = out * value_scale[..., None, None]
    return scaled.bfloat16()


def _by_head(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return x in e4m3 and the scale [B, heads] of each head; what is e4m3 already has a scale of one."""
    if x.dtype == E4M3:
        return x, torch.ones(x.shape[:2], dtype=torch.float32, device=x.device)
    scale = x.abs().amax(dim=(2, 3)).float().clamp_min(1e-12) / LARGEST_E4M3
    return saturated(x.float() / scale[..., None, None]), scale
