"""Attention that multiplies in fp32, for a CPU whose products in half precision are slower than that."""

from torch import Tensor

from longtake.model.choice import Target
from longtake.model.ops.attention.base import in_chunks, two_products
from longtake.model.ops.attention.exp2 import exp2_products
from longtake.model.ops.precision import HALF_TYPES


def upcast(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend as `bmm` does, in fp32; the result has q's type."""
    return in_chunks(_two_products, q, k, v)


def upcast_exp2_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend as `exp2_attention` does, in fp32; the result has q's type."""
    return in_chunks(_exp2_products, q, k, v)


def missing_upcast(target: Target) -> str | None:
    """Return why `upcast` is of no use on a target, or None."""
    if target.device.type != "cpu" or target.dtype not in HALF_TYPES:
        return "attention 'upcast' is for half precision on a CPU"
    return None


def _two_products(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return two_products(q.float(), k.float(), v.float()).to(q.dtype)


def _exp2_products(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return exp2_products(q.float(), k.float(), v.float()).to(q.dtype)
