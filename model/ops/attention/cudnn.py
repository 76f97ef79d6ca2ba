"""Torch's attention with cuDNN's kernel and no other."""

import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from longtake.model.choice import Target
from longtake.model.ops.precision import HALF_TYPES


def cudnn(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend with cuDNN; torch raises RuntimeError if cuDNN refuses the sizes."""
    with sdpa_kernel(SDPBackend.CUDNN_ATTENTION):
        return F.scaled_dot_product_attention(q, k, v)


def missing_cudnn(target: Target) -> str | None:
    """Return why cuDNN's attention cannot be had on a target, or None."""
    if target.device.type != "cuda":
        return f"attention 'cudnn' needs a CUDA device, not {target.device.type}"
    if target.dtype not in HALF_TYPES:
        return f"attention 'cudnn' computes in half precision only, not {target.dtype}"
    return None
