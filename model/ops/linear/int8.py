"""Int8 weights and activations with a scale for each row, on a CPU."""

import torch
from torch import Tensor

from longtake.model.choice import Target
from longtake.model.ops.linear.base import LinearOp, with_gelu

LARGEST_INT8 = 127.0


def int8_linear(weight: Tensor, bias: Tensor, *, gelu: bool = False) -> LinearOp:
    """Return x -> x weight^T + bias in int8, with sums in int32; see `LinearFactory`."""
    full = weight.detach().float()
    column_scale = full.abs().amax(dim=-1).clamp_min(1e-12) / LARGEST_INT8
    columns = (full / column_scale[:, None]).round_().to(torch.int8).t()
    full_bias = bias.detach().float().clone()

    def product(x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        row_scale = rows.abs().amax(dim=-1, keepdim=True).float().clamp_min(1e-12) / LARGEST_INT8
        sums = torch._int_mm((rows / row_scale).round_().to(torch.int8), columns)
        out = torch.addcmul(full_bias, sums * column_scale, row_scale)
        return out.to(x.dtype).view(*x.shape[:-1], -1)

    return with_gelu(product, gelu)


def missing_int8(target: Target) -> str | None:
    """Return why int8 products cannot be had on a target, or None."""
    if target.device.type != "cpu":
        return f"linear 'int8' is for the CPU, not {target.device.type}; use --linear fp8"
    return None
