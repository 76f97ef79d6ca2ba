"""Linears whose weight is laid out once for oneDNN.

Torch's CPU products reorder the weight at every call; at diorama's sizes that is a good part of the product's time.
In fp32 torch calls another library, which was measured 12 % slower than oneDNN on an AMD processor.
The two operators here are what torch's own compiler emits for frozen weights. They are not public, so this module is
the only one that calls them, and `has_onednn` looks for them first.
"""

import platform

import torch
from torch import Tensor

from longtake.model.choice import Target
from longtake.model.ops.linear.base import LinearOp, gelu_tanh

_OPERATORS = ("linear_pointwise", "reorder_linear_weight", "is_mkldnn_bf16_supported")
_X86 = ("x86_64", "AMD64")


def has_onednn(device: torch.device, dtype: torch.dtype) -> bool:
    """True if `onednn_linear` works here and pays: in bf16 if the CPU multiplies it, in fp32 on x86."""
    if device.type != "cpu" or not torch.backends.mkldnn.is_available():
        return False
    operators = torch.ops.mkldnn
    if not all(hasattr(operators, f"_{name}") for name in _OPERATORS):
        return False
    if dtype == torch.bfloat16:
        return bool(operators._is_mkldnn_bf16_supported())
    return dtype == torch.float32 and platform.machine() in _X86


def onednn_linear(weight: Tensor, bias: Tensor, rows: int, *, gelu: bool = False) -> LinearOp:
    """Return x -> x weight^T + bias, [..., in] -> [..., out]; weight and bias are copied.

    Args:
        weight: [out, in] bfloat16 or float32.
        bias: [out], of the same type.
        rows: how many rows the inputs usually have (others work too).
        gelu: apply the tanh form of GELU to the result, before it is rounded.
    """
    packed = torch.ops.mkldnn._reorder_linear_weight(weight.detach(), rows)
    bias = bias.detach().clone()
    product = torch.ops.mkldnn._linear_pointwise
    within = gelu and gelu_belongs_within(weight.dtype)
    activation, form = ("gelu", "tanh") if within else ("none", "")

    def apply(x: Tensor) -> Tensor:
        out: Tensor = product(x, packed, bias, activation, [], form)
        return gelu_tanh(out) if gelu and not within else out

    return apply


def gelu_belongs_within(dtype: torch.dtype) -> bool:
    """True if the product should apply GELU itself: always but in fp32 without AVX-512.

    There oneDNN takes 9 ns a number for it (measured on Zen 3), five times as long as `gelu_tanh`.
    """
    return dtype != torch.float32 or bool(torch.cpu.get_capabilities().get("avx512_f"))


def missing_onednn(target: Target) -> str | None:
    """Return why oneDNN's products cannot be had on a target, or None."""
    if has_onednn(target.device, target.dtype):
        return None
    return "linear 'onednn' needs bf16 on a CPU that multiplies it natively or fp32 on x86, and a torch with oneDNN"
