"""Torch's own product, in the model's precision."""

from functools import partial

import torch.nn.functional as F
from torch import Tensor

from longtake.model.ops.linear.base import LinearFactory, LinearOp, with_gelu

STEP = 16
"""what the dimensions of an eight-bit product must be multiples of"""


def plain_linear(weight: Tensor, bias: Tensor, *, gelu: bool = False) -> LinearOp:
    """Return x -> x weight^T + bias in the weight's type; see `LinearFactory`."""
    return with_gelu(partial(F.linear, weight=weight, bias=bias), gelu)


def plain_unless_divisible(make: LinearFactory) -> LinearFactory:
    """Return a factory that takes `make` for weights whose dimensions `STEP` divides, and `plain_linear` for others."""

    def choose(weight: Tensor, bias: Tensor, *, gelu: bool = False) -> LinearOp:
        fits = not any(size % STEP for size in weight.shape)
        return (make if fits else plain_linear)(weight, bias, gelu=gelu)

    return choose
