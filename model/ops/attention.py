"""Attention without a mask, and the choice of what computes it.

Every back end takes q, k, v as [B, heads, tokens, head_dim] (any strides, the last dimension contiguous) and returns
[B, heads, query tokens, head_dim]. None of them masks: which keys are visible is decided by which are passed.
"""

import importlib
import math
from collections.abc import Callable
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from torch import Tensor

from longtake.model.errors import BackendError
from longtake.model.ops.precision import HALF_TYPES, cpu_multiplies

Attention = Callable[[Tensor, Tensor, Tensor], Tensor]

LARGEST_SCORES = 2**23
"""How many scores are made at once. Where there are more, so many of each head: queries are taken in parts, and heads
as many as there are threads. So what the first product writes is still near the processor when the second reads it, and
a large model's scores do not fill the memory."""

SAFE_SUMS = 1e-20, 1e20
"""Between these, sums of powers have lost nothing to the ends of the number range (that of bf16 and fp32)."""


def sdpa(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Torch's fused attention; picks its own kernel (cuDNN or flash on a GPU)."""
    return F.scaled_dot_product_attention(q, k, v)


def bmm(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Two explicit matrix products: the fastest on a CPU at diorama's sizes, where calls cost more than arithmetic."""
    return _in_parts(_bmm, q, k, v)


def exp2_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Softmax to base 2 of the unscaled products, for inference on a CPU: `bmm` in fewer passes, see `prescaled`.

    The largest score of a row is not searched for and taken off first, and the division comes after the second product,
    where there is less to divide. Where that leaves the number range, which the sums show, it is done the long way.
    """
    return _in_parts(_exp2, q, k, v)


def upcast(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """`bmm` in fp32, a few heads at a time: for a CPU on which products in half precision are slower than that."""
    return _in_parts(_upcast, q, k, v)


def upcast_exp2_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """`exp2_attention` in fp32, as `upcast`."""
    return _in_parts(_upcast_exp2, q, k, v)


def _bmm(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    batch, heads, _, width = q.shape
    scores = torch.bmm((q * width**-0.5).flatten(0, 1), k.flatten(0, 1).transpose(1, 2))
    return torch.bmm(scores.softmax(dim=-1), v.flatten(0, 1)).view(batch, heads, *q.shape[2:])


def _exp2(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    batch, heads, _, width = q.shape
    q, k, v = q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1)
    weights = torch.bmm(q, k.transpose(1, 2)).exp2_()
    sums = weights.sum(dim=-1, keepdim=True)
    smallest, largest = sums.aminmax()
    if smallest.item() > SAFE_SUMS[0] and largest.item() < SAFE_SUMS[1]:
        out = torch.bmm(weights, v).div_(sums)
    else:
        out = torch.bmm(torch.bmm(q, k.transpose(1, 2)).mul_(math.log(2)).softmax(dim=-1), v)
    return out.view(batch, heads, -1, width)


def _upcast(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return _bmm(q.float(), k.float(), v.float()).to(q.dtype)


def _upcast_exp2(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    return _exp2(q.float(), k.float(), v.float()).to(q.dtype)


def _in_parts(attention: Attention, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend at once, or with as many heads at a time as there are threads, and as `LARGEST_SCORES` has queries."""
    if q[..., 0].numel() * k.shape[2] <= LARGEST_SCORES:
        return attention(q, k, v)
    out = torch.empty(q.shape, dtype=q.dtype, device=q.device)
    together, rows = torch.get_num_threads(), max(1, LARGEST_SCORES // k.shape[2])
    for into, queries, keys, values in zip(*(x.flatten(0, 1).split(together) for x in (out, q, k, v)), strict=True):
        for made, part in zip(into.split(rows, dim=1), queries.split(rows, dim=1), strict=True):
            made.copy_(attention(part[None], keys[None], values[None])[0])
    return out


def prescaled(attention: Attention, width: int) -> tuple[float, Attention]:
    """Return what queries of a width are to be multiplied by, and the attention for queries that are.

    For inference: the factor costs nothing where it is part of a norm's weight.
    """
    if attention not in _FEWER_PASSES:
        return 1.0, attention
    return math.log2(math.e) * width**-0.5, _FEWER_PASSES[attention]


_FEWER_PASSES: dict[Attention, Attention] = {bmm: exp2_attention, upcast: upcast_exp2_attention}


def _flash(module: str) -> Attention:
    """Return the flash-attn function of a module, which wants [B, tokens, heads, head_dim]."""
    function = importlib.import_module(module).flash_attn_func

    def flash(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out = function(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
        # Some releases return (out, log-sum-exp).
        attended: Tensor = out[0] if isinstance(out, tuple) else out
        return attended.transpose(1, 2)

    return flash


_FLASH_MODULES = {"flash3": "flash_attn_interface", "flash2": "flash_attn"}
_INSTALL = {
    "flash3": "build flash-attention's hopper folder (it installs the module flash_attn_interface)",
    "flash2": "pip install flash-attn --no-build-isolation",
}
_PLAIN: dict[str, Attention] = {"sdpa": sdpa, "bmm": bmm, "upcast": upcast}


def attention_names() -> list[str]:
    """Return every back end's name, fastest on a GPU first."""
    return [*_FLASH_MODULES, *_PLAIN]


def missing(name: str, device: torch.device, dtype: torch.dtype) -> str | None:
    """Return why a back end cannot be used here, or None where it can. Imports nothing of it."""
    if name == "upcast" and (device.type != "cpu" or dtype not in HALF_TYPES):
        return "attention 'upcast' is for half precision on a CPU"
    if name in _PLAIN:
        return None
    if name not in _FLASH_MODULES:
        return f"no attention is called {name!r}; there are auto, {', '.join(attention_names())}"
    if device.type != "cuda":
        return f"attention {name!r} needs a CUDA device, not {device.type}"
    if name == "flash3" and torch.cuda.get_device_capability(device)[0] != 9:
        return "attention 'flash3' needs a Hopper GPU (compute capability 9)"
    if dtype not in HALF_TYPES:  # all that flash-attn computes in
        return f"attention {name!r} computes in half precision only, not {dtype}"
    if find_spec(_FLASH_MODULES[name]) is None:
        return f"attention {name!r} is not installed: {_INSTALL[name]}"
    return None


def automatic(device: torch.device, dtype: torch.dtype) -> str:
    """Return the name of the fastest back end that works here."""
    if device.type == "cpu":
        return "bmm" if cpu_multiplies(dtype) else "upcast"
    return next((name for name in _FLASH_MODULES if missing(name, device, dtype) is None), "sdpa")


def choose_attention(name: str, device: torch.device | str, dtype: torch.dtype) -> Attention:
    """Return the named back end; "auto" takes the fastest that works here.

    Raises:
        BackendError: it is unknown, not installed or unfit for the device; the message says what to do.
    """
    device = torch.device(device)
    name = automatic(device, dtype) if name == "auto" else name
    if problem := missing(name, device, dtype):
        raise BackendError(problem)
    return _PLAIN[name] if name in _PLAIN else _flash(_FLASH_MODULES[name])
