"""FP8 by torch's own scaled product: e4m3 weights and activations, with a scale for each row.

A CPU multiplies the same rounded values in fp32.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from longtake.model.choice import Target
from longtake.model.ops.linear.base import with_gelu

E4M3 = torch.float8_e4m3fn
LARGEST_E4M3 = 448.0
FP8_CAPABILITY = (8, 9)
"""compute capability of the first GPUs with FP8 products (Ada and Hopper)"""


def quantise_fp8(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return x [rows, width] in e4m3, and each row's scale [rows, 1] float32: x is about their product."""
    full = x.float()
    # A row of zeros must not divide by zero. The largest value of a row comes to 448, so that nothing overflows.
    scale = full.abs().amax(dim=-1, keepdim=True).clamp_min(1e-12) / LARGEST_E4M3
    return (full / scale).to(E4M3), scale


class Fp8Linear:
    """x -> x weight^T + bias in FP8: [..., in] -> [..., out] in x's type; see `LinearFactory`.

    Args:
        weight: [out, in] float, each a multiple of 16.
        bias: [out].
        gelu: apply the tanh form of GELU to the result.
    """

    def __init__(self, weight: Tensor, bias: Tensor, *, gelu: bool = False) -> None:
        quantised, scale = quantise_fp8(weight.detach())
        # A CPU's scaled product takes tens of times as long as one in fp32 of the same values.
        self._widened = quantised.float() * scale if weight.device.type == "cpu" else None
        # The product wants its second factor by columns, which is how the rows lie.
        self._columns, self._column_scale = quantised.t(), scale.t().contiguous()
        self._bias = bias.detach().clone()
        self._whole = with_gelu(self._quantise_and_multiply, gelu)

    def __call__(self, x: Tensor) -> Tensor:
        """x: [..., in] -> [..., out]."""
        return self._whole(x)

    def product(self, rows: Tensor, row_scale: Tensor, dtype: torch.dtype) -> Tensor:
        """Return only the product and the bias, of rows that are quantised already.

        rows: [M, in] e4m3; row_scale: [M, 1] float32 -> [M, out] of the given type, without GELU.
        """
        if self._widened is not None:
            return F.linear(rows.float() * row_scale, self._widened, self._bias.float()).to(dtype)
        out: Tensor = torch._scaled_mm(
            rows,
            self._columns,
            scale_a=row_scale,
            scale_b=self._column_scale,
            bias=self._bias,
            out_dtype=dtype,
            use_fast_accum=True,
        )
        return out

    def _quantise_and_multiply(self, x: Tensor) -> Tensor:
        rows, row_scale = quantise_fp8(x.reshape(-1, x.shape[-1]))
        return self.product(rows, row_scale, x.dtype).view(*x.shape[:-1], -1)


def missing_fp8(name: str, target: Target) -> str | None:
    """Return why FP8 products, under the name that was asked for, cannot be had on a target, or None."""
    if target.device.type == "cuda":
        if torch.cuda.get_device_capability(target.device) < FP8_CAPABILITY:
            return f"linear {name!r} needs a GPU of compute capability 8.9 (Ada, Hopper) or later"
        if target.dtype != torch.bfloat16:
            return f"linear {name!r} computes from and to bf16 on a GPU; use --precision bf16"
    return None
