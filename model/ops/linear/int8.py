"""Int8 weights and activations with a scale for each row, on a CPU."""

import torch
import torch.nn.functional as F
from torch import Tensor

from longtake.model.choice import Target
from longtake.model.ops.linear.base import LinearOp, gelu_tanh

LARGEST_INT8 = 127.0


def int8_linear(weight: Tensor, bias: Tensor, *, gelu: bool = False) -> LinearOp:
    """Return x -> x weight^T + bias in int8, with sums in int32; see `LinearFactory`."""
    full = weight.detach().float()
    column_scale = full.abs().amax(dim=-1).clamp_min(1e-12) / LARGEST_INT8
    rounded = (full / column_scale[:, None]).round_()
    multiply = _products(rounded)
    full_bias = bias.detach().float().clone()

    def product(x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        largest = rows.abs().amax(dim=-1, keepdim=True).float().clamp_min_(1e-12)
        sums = multiply((rows * (LARGEST_INT8 / largest)).round_())
        out = torch.addcmul(full_bias, sums.mul_(largest / LARGEST_INT8), column_scale)
        if gelu:
            out = gelu_tanh(out)
        return out.to(x.dtype).view(*x.shape[:-1], -1)

    return product


def multiplies_int8() -> bool:
    """True if the processor has instructions for int8 products; without them torch takes tens of times as long."""
    has = torch.cpu.get_capabilities()
    return any(bool(has.get(name)) for name in ("avx512_vnni", "avx_vnni", "amx_int8"))


def _products(columns: Tensor) -> LinearOp:
    """Return rows [M, in] -> rows columns^T in float32, both of whole numbers that fit in int8.

    Without instructions for it the sums are fp32's, which are exact up to 2^24, that is for some thousand columns.
    """
    if not multiplies_int8():
        return lambda rows: F.linear(rows.float(), columns)
    narrow = columns.to(torch.int8).t()
    return lambda rows: torch._int_mm(rows.to(torch.int8), narrow).float()


def missing_int8(target: Target) -> str | None:
    """Return why int8 products cannot be had on a target, or None."""
    if target.device.type != "cpu":
        return f"linear 'int8' is for the CPU, not {target.device.type}; use --linear fp8"
    return None
