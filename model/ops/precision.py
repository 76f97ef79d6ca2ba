"""Chooses device and precision by what the machine has."""

import time
from functools import cache

import torch

from longtake.model.errors import BackendError

_PRODUCTS = 8
_WORTH_BF16 = 1.2
"""bf16 reads half as many bytes, so products may take this much longer than in fp32"""

HALF_TYPES = (torch.bfloat16, torch.float16)

_PRECISIONS = {"bf16": torch.bfloat16, "fp32": torch.float32}


def cpu_has_bf16() -> bool:
    """True if the processor multiplies bf16 natively (AVX-512 BF16, AMX, or Arm's BF16); others emulate it."""
    has = torch.cpu.get_capabilities()
    return any(bool(has.get(name)) for name in ("avx512_bf16", "amx_bf16", "arm_bf16", "bf16"))


@cache
def cpu_prefers_bf16() -> bool:
    """True if this processor multiplies bf16 at least nearly as fast as fp32; measured once, in some milliseconds.

    Having the instructions is not enough: a Xeon with AVX-512 BF16 and without AMX was seen to multiply it at half the
    rate of fp32, other processors at two to four times that rate.
    """
    return cpu_has_bf16() and _product_s(torch.bfloat16) <= _WORTH_BF16 * _product_s(torch.float32)


def _product_s(dtype: torch.dtype) -> float:
    """Seconds of a product like those of a small model's layers, the best of several."""
    a, b = torch.ones(512, 256, dtype=dtype), torch.ones(1024, 256, dtype=dtype)
    taken = []
    with torch.inference_mode():
        for _ in range(_PRODUCTS):
            began = time.perf_counter()
            torch.nn.functional.linear(a, b)
            taken.append(time.perf_counter() - began)
    return min(taken)


def cpu_multiplies(dtype: torch.dtype) -> bool:
    """True if the CPU's products in a type are as fast as those in fp32.

    In half precision they are not, unless they are native or oneDNN's with AVX-512: with AVX2 they took six to ten
    times as long. A model kept in such a type multiplies in fp32.
    """
    if dtype not in HALF_TYPES:
        return True
    supported = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", lambda: False)
    return dtype == torch.bfloat16 and (cpu_has_bf16() or bool(supported()))


def product_precision(dtype: torch.dtype, device: torch.device) -> torch.dtype:
    """Return the type for a small network beside a model of a type: fp32 if the CPU multiplies that faster."""
    return dtype if device.type != "cpu" or cpu_multiplies(dtype) else torch.float32


def choose_device(name: str) -> torch.device:
    """Return the named device; "auto" takes a GPU if there is one. Raises BackendError if it cannot be had."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise BackendError(f"no device is called {name!r}; use auto, cpu or cuda") from None
    if device.type == "cuda" and not torch.cuda.is_available():
        raise BackendError("device cuda was asked for, but torch sees no GPU here; use --device cpu")
    if device.type not in ("cpu", "cuda"):
        raise BackendError(f"device {name!r} is not supported; use auto, cpu or cuda")
    return device


def choose_precision(name: str, device: torch.device) -> torch.dtype:
    """Return the named precision; "auto" takes bf16 if it is native and not slower, else fp32.

    Raises BackendError for an unknown name.
    """
    if name == "auto":
        wanted = cpu_prefers_bf16() if device.type == "cpu" else torch.cuda.is_bf16_supported()
        return torch.bfloat16 if wanted else torch.float32
    if name not in _PRECISIONS:
        raise BackendError(f"no precision is called {name!r}; use auto, {' or '.join(_PRECISIONS)}")
    return _PRECISIONS[name]


def precision_name(dtype: torch.dtype) -> str:
    """Return the short name of a precision."""
    return next(name for name, value in _PRECISIONS.items() if value is dtype)
