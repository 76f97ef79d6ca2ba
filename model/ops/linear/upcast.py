"""The product in fp32, whatever the weights are kept in: for a CPU whose half-precision products are slower."""

import torch.nn.functional as F
from torch import Tensor

from longtake.model.choice import Target
from longtake.model.ops.linear.base import LinearOp, gelu_tanh
from longtake.model.ops.precision import HALF_TYPES


def upcast_linear(weight: Tensor, bias: Tensor, *, gelu: bool = False) -> LinearOp:
    """Return x -> x weight^T + bias computed in fp32, the result in x's type; see `LinearFactory`.

    The weight is not copied. It is widened at every call, which for the many tokens of a large model takes next to
    nothing of the product's time.
    """
    weight, full_bias = weight.detach(), bias.detach().float()

    def product(x: Tensor) -> Tensor:
        out = F.linear(x.float(), weight.float(), full_bias)
        return (gelu_tanh(out) if gelu else out).to(x.dtype)

    return product


def missing_upcast(target: Target) -> str | None:
    """Return why `upcast_linear` is of no use on a target, or None."""
    if target.device.type != "cpu" or target.dtype not in HALF_TYPES:
        return "linear 'upcast' is for half precision on a CPU"
    return None
