"""Linear maps laid out once for the processor's products.

Torch's CPU products reorder the weight at every call; at diorama's sizes that is a good part of the product's time.
In fp32 they are another library's, which was measured 12 % slower than oneDNN's on an AMD processor.
The two operators here are what torch's own compiler emits for frozen weights. They are not public, so they are used
only where they are found, and only here.
"""

import math
import platform
from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

LinearOp = Callable[[Tensor], Tensor]


class LinearFactory(Protocol):
    """Makes the map x -> x weight^T + bias, [..., in] -> [..., out], from a weight [out, in] and a bias [out]."""

    def __call__(self, weight: Tensor, bias: Tensor, *, gelu: bool = False) -> LinearOp:
        """Return it; with `gelu`, followed by the tanh form of GELU."""
        ...


_OPERATORS = ("linear_pointwise", "reorder_linear_weight", "is_mkldnn_bf16_supported")


_TWICE = 2 * math.sqrt(2 / math.pi)
_TWICE_TENSOR = torch.tensor(_TWICE)
"""of GELU's tanh form, see `gelu_tanh`"""

_X86 = ("x86_64", "AMD64")


def has_onednn(device: torch.device, dtype: torch.dtype) -> bool:
    """Whether `onednn_linear` works here and is worth it: in bf16 where it is native, in fp32 on x86."""
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
    """Whether the product had better apply GELU itself: not in fp32 without AVX-512.

    There oneDNN takes 9 ns a number for it (measured on Zen 3), five times as long as `gelu_tanh`.
    """
    return dtype != torch.float32 or bool(torch.cpu.get_capabilities().get("avx512_f"))


def gelu_tanh(x: Tensor) -> Tensor:
    """Return the tanh form of GELU, (1 + tanh u) x / 2, as x / (1 + exp -2u): a third of the time that torch's takes.

    x: float32, of any shape; u = sqrt(2 / pi) (x + 0.044715 x^3).
    """
    factor = torch.addcmul(_TWICE_TENSOR, x, x, value=0.044715 * _TWICE)
    return factor.mul_(x).sigmoid_().mul_(x)
