"""Norms: one over the residual stream with everything around it, one for cross-attention's queries."""

import torch
import torch.nn.functional as F
from torch import Tensor

from longtake.model.ops.linear.fp8 import E4M3, quantise_fp8
from longtake.model.ops.triton.kernels import add_norm_kernel, rms_norm_kernel
from longtake.model.ops.triton.launch import block, check_contiguous, grid, rows_of, warps

Rows = tuple[Tensor, Tensor]
"""Rows in e4m3 [M, D], and their scales [M, 1] float32."""


def add_norm(
    x: Tensor,
    y: Tensor | None,
    gate: Tensor | None,
    scale: Tensor,
    shift: Tensor,
    *,
    eps: float,
) -> Tensor:
    """Add y * gate to x in place, and return norm(x) * scale + shift.

    Args:
        x: the residual stream, [B, F, S, D], contiguous; overwritten if there is a y.
        y: what a product made, of the same shape; None adds nothing.
        gate: [B or 1, F or 1, 1, D]; None is one.
        scale, shift: [B or 1, F or 1, 1, D], or [D].
        eps: of the norm.

    Returns:
        [B, F, S, D] in x's type.
    """
    out = torch.empty_like(x)
    _launch(x, y, gate, scale, shift, eps, out, None)
    return out


def add_norm_e4m3(
    x: Tensor, y: Tensor | None, gate: Tensor | None, scale: Tensor, shift: Tensor, *, eps: float
) -> Rows:
    """Do the same, quantised by row for an FP8 product; arguments as `add_norm`."""
    rows = x.numel() // x.shape[-1]
    out = torch.empty((rows, x.shape[-1]), dtype=E4M3, device=x.device)
    scales = torch.empty((rows, 1), dtype=torch.float32, device=x.device)
    _launch(x, y, gate, scale, shift, eps, out, scales)
    return out, scales


def plain_add_norm(
    x: Tensor, y: Tensor | None, gate: Tensor | None, scale: Tensor, shift: Tensor, *, eps: float
) -> Tensor:
    """Compute what `add_norm` does, operator by operator; x is changed too."""
    if y is not None:
        x.copy_(x.float() + y.float() * (1.0 if gate is None else gate.float()))
    normed = F.layer_norm(x.float(), x.shape[-1:], eps=eps)
    return (normed * scale.float() + shift.float()).to(x.dtype)


def plain_add_norm_e4m3(
    x: Tensor, y: Tensor | None, gate: Tensor | None, scale: Tensor, shift: Tensor, *, eps: float
) -> Rows:
    """Compute what `add_norm_e4m3` does; the result is rounded to x's type before it is quantised."""
    return quantise_fp8(plain_add_norm(x, y, gate, scale, shift, eps=eps).flatten(0, -2))


def rms_norm(x: Tensor, weight: Tensor, *, eps: float) -> Tensor:
    """Return x over its root mean square, times the weight [D]: x [..., D] contiguous -> the same."""
    check_contiguous(x)
    width = x.shape[-1]
    rows, out = x.numel() // width, torch.empty_like(x)
    rms_norm_kernel[grid(x, rows)](
        x, weight, out, rows, eps, width=width, BLOCK=block(width), ROWS=rows_of(x), num_warps=warps(width)
    )
    return out


def plain_rms_norm(x: Tensor, weight: Tensor, *, eps: float) -> Tensor:
    """Compute what `rms_norm` does."""
    return (F.rms_norm(x.float(), x.shape[-1:], weight.float(), eps)).to(x.dtype)


def _launch(
    x: Tensor,
    y: Tensor | None,
    gate: Tensor | None,
    scale: Tensor,
    shift: Tensor,
    eps: float,
    out: Tensor,
    out_scale: Tensor | None,
) -> None:
    check_contiguous(x)
    batch, frames, tokens, width = x.shape
    if y is not None:
        y = y.reshape(x.shape)
        check_contiguous(y)
    rows = batch * frames * tokens
    add_norm_kernel[grid(x, rows)](
        x,
        x if y is None else y,
        scale if gate is None else gate,
        scale,
        shift,
        out,
        out if out_scale is None else out_scale,
        *_strides(gate),
        *_strides(scale),
        *_strides(shift),
        rows,
        frames,
        tokens,
        eps,
        width=width,
        BLOCK=block(width),
        ROWS=rows_of(x),
        ADD=y is not None,
        GATE=gate is not None,
        FP8=out_scale is not None,
        num_warps=warps(width),
    )


def _strides(vector: Tensor | None) -> tuple[int, int]:
    """Return how far a vector's next batch member and next frame are; 0 if all have the same."""
    if vector is None or vector.ndim == 1:
        return 0, 0
    batch, frames = vector.shape[:2]
    return vector.stride(0) if batch > 1 else 0, vector.stride(1) if frames > 1 else 0
