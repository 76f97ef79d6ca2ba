"""Convolutions whose weight is laid out once for oneDNN, as `longtake.model.ops.linear.onednn` does for products.

Torch reorders a convolution's weight at every call. Few cells, as of a latent frame, make that a good part of the time.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from longtake.model.ops.linear.onednn import has_onednn

_OPERATORS = ("_convolution_pointwise", "_reorder_convolution_weight")


def has_packed_convolution(device: torch.device, dtype: torch.dtype) -> bool:
    """True if `packed_convolution` works here."""
    return has_onednn(device, dtype) and all(hasattr(torch.ops.mkldnn, name) for name in _OPERATORS)


def packed_convolution(weight: Tensor, bias: Tensor, size: Sequence[int]) -> Callable[[Tensor], Tensor]:
    """Return a convolution of stride 1 that keeps height and width; weight and bias are copied.

    Args:
        weight: [K, C, n, n], n odd.
        bias: [K].
        size: height and width that the inputs usually have.
    """
    padding, one = [weight.shape[-1] // 2] * 2, [1, 1]
    shape = [1, weight.shape[1], *size]
    packed = torch.ops.mkldnn._reorder_convolution_weight(weight.detach(), padding, one, one, 1, shape)
    kept = bias.detach().clone()
    convolve = torch.ops.mkldnn._convolution_pointwise

    def apply(x: Tensor) -> Tensor:
        out: Tensor = convolve(x, packed, kept, padding, one, one, 1, "none", [], "")
        return out

    return apply
