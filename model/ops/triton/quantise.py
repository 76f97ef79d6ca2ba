"""Quantisation by row for an FP8 product, alone or after GELU."""

import torch
import torch.nn.functional as F
from torch import Tensor

from longtake.model.ops.linear.fp8 import E4M3, quantise_fp8
from longtake.model.ops.triton.kernels import quantise_kernel
from longtake.model.ops.triton.launch import block, grid, rows_of, warps
from longtake.model.ops.triton.norm import Rows


def quantise_rows(x: Tensor, *, gelu: bool = False) -> Rows:
    """Return x [..., D] in e4m3, [M, D], and each row's scale [M, 1]; with `gelu`, of the tanh form of GELU of x."""
    width = x.shape[-1]
    x = x.reshape(-1, width).contiguous()
    rows, out = x.shape[0], torch.empty(x.shape, dtype=E4M3, device=x.device)
    scales = torch.empty((rows, 1), dtype=torch.float32, device=x.device)
    quantise_kernel[grid(x, rows)](
        x, out, scales, rows, width=width, BLOCK=block(width), ROWS=rows_of(x), GELU=gelu, num_warps=warps(width)
    )
    return out, scales


def plain_quantise_rows(x: Tensor, *, gelu: bool = False) -> Rows:
    """Compute what `quantise_rows` does."""
    x = x.flatten(0, -2).float()
    return quantise_fp8(F.gelu(x, approximate="tanh") if gelu else x)
