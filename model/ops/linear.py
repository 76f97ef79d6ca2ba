"""What computes the layers' linear maps: as they are, laid out for the processor, or in eight bits.

| name | what it is | where |
|---|---|---|
| plain | torch's product in the model's precision | everywhere |
| onednn | weights laid out once for the processor's products (`longtake.model.ops.onednn`) | CPU: bf16, fp32 on x86 |
| upcast | the product in fp32, whatever the weights are kept in | CPU without bf16 products |
| fp8 | e4m3 weights and activations, a scale for each row, torch's own scaled product | GPU of capability 8.9 on; CPU |
| te-fp8 | the same numbers by transformer-engine, one scale for each tensor | GPU of capability 8.9 on |
| int8 | int8 weights and activations, a scale for each row | CPU |

Eight bits are never chosen by themselves: what they cost in pictures and bring in time is to be looked at first
(`longtake conformance --self`, `longtake bench generator`); FP8 that is not compiled was seen slower than bf16.
Only the maps inside the layers are concerned: the text and time embeddings and the head stay as they are, and so do
the prompt's keys and values, which are computed once a prompt. A map with a dimension that sixteen does not divide
stays too. The weights themselves are kept beside the copies.
"""

import importlib
from functools import partial
from importlib.util import find_spec

import torch
import torch.nn.functional as F
from torch import Tensor

from longtake.model.errors import BackendError
from longtake.model.ops.onednn import LinearFactory, LinearOp, gelu_tanh, has_onednn, onednn_linear
from longtake.model.ops.precision import HALF_TYPES, cpu_multiplies

E4M3 = torch.float8_e4m3fn
LARGEST_E4M3 = 448.0
LARGEST_INT8 = 127.0
STEP = 16
"""what the dimensions of an eight-bit map must be multiples of"""
TE_ROWS = 8
"""what transformer-engine wants the rows of an FP8 product to be a multiple of"""
FP8_CAPABILITY = (8, 9)
"""of the first GPUs with FP8 products (Ada and Hopper)"""

_NAMES = ("te-fp8", "fp8", "int8", "onednn", "upcast", "plain")


def linear_names() -> list[str]:
    """Return the name of everything that can compute the maps."""
    return list(_NAMES)


def missing(name: str, device: torch.device, dtype: torch.dtype, rows: int = 0) -> str | None:
    """Return why a name cannot be used here, or None where it can. Imports nothing of it.

    Args:
        name: of the table.
        device, dtype: of the model.
        rows: tokens that a map usually gets, where that is known.
    """
    if name not in _NAMES:
        return f"no linear map is called {name!r}; there are auto, {', '.join(_NAMES)}"
    if name == "onednn" and not has_onednn(device, dtype):
        return "linear 'onednn' needs bf16 on a CPU that multiplies it natively or fp32 on x86, and a torch with oneDNN"
    if name == "upcast" and (device.type != "cpu" or dtype not in HALF_TYPES):
        return "linear 'upcast' is for half precision on a CPU"
    if name == "int8" and device.type != "cpu":
        return f"linear 'int8' is for the CPU, not {device.type}; use --linear fp8"
    if name == "te-fp8" and device.type != "cuda":
        return f"linear 'te-fp8' needs a CUDA device, not {device.type}; use --linear fp8"
    if name in ("fp8", "te-fp8") and device.type == "cuda":
        if torch.cuda.get_device_capability(device) < FP8_CAPABILITY:
            return f"linear {name!r} needs a GPU of compute capability 8.9 (Ada, Hopper) or later"
        if dtype != torch.bfloat16:
            return f"linear {name!r} computes from and to bf16 on a GPU; use --precision bf16"
    if name == "te-fp8" and rows % TE_ROWS:
        return f"linear 'te-fp8' needs a multiple of {TE_ROWS} tokens in a block, not {rows}; use --linear fp8"
    if name == "te-fp8" and find_spec("transformer_engine") is None:
        return "transformer-engine is not installed: pip install --no-build-isolation 'transformer-engine[pytorch]'"
    return None


def automatic(device: torch.device, dtype: torch.dtype) -> str:
    """Return the name of the fastest that is as exact as the model's precision."""
    if has_onednn(device, dtype):
        return "onednn"
    return "plain" if device.type != "cpu" or cpu_multiplies(dtype) else "upcast"


def choose_linear(name: str, device: torch.device | str, dtype: torch.dtype, rows: int) -> LinearFactory | None:
    """Return what makes a layer's maps, None for plain ones; "auto" takes `automatic`'s.

    Args:
        name: of the table.
        device, dtype: of the model.
        rows: tokens that a map usually gets.

    Raises:
        BackendError: it is unknown, not installed or unfit for the device; the message says what to do.
    """
    device = torch.device(device)
    name = automatic(device, dtype) if name == "auto" else name
    if problem := missing(name, device, dtype, rows):
        raise BackendError(problem)
    if name == "onednn":
        return partial(onednn_linear, rows=rows)
    if name == "upcast":
        return upcast_linear
    return _where_it_fits(_EIGHT_BITS[name]) if name in _EIGHT_BITS else None


def _where_it_fits(make: LinearFactory) -> LinearFactory:
    """Leave maps alone whose dimensions an eight-bit product does not take."""

    def choose(weight: Tensor, bias: Tensor, *, gelu: bool = False) -> LinearOp:
        fits = not any(size % STEP for size in weight.shape)
        return make(weight, bias, gelu=gelu) if fits else plain_linear(weight, bias, gelu=gelu)

    return choose


def _finished(product: LinearOp, gelu: bool) -> LinearOp:
    return (lambda x: F.gelu(product(x), approximate="tanh")) if gelu else product


def plain_linear(weight: Tensor, bias: Tensor, *, gelu: bool = False) -> LinearOp:
    """Return x -> x weight^T + bias in the weight's type; arguments as `fp8_linear`."""
    return _finished(partial(F.linear, weight=weight, bias=bias), gelu)


def upcast_linear(weight: Tensor, bias: Tensor, *, gelu: bool = False) -> LinearOp:
    """Return x -> x weight^T + bias computed in fp32, the result in x's type; arguments as `fp8_linear`.

    The weight stays as it is and is widened at every call, which for the many tokens of a large model takes next to
    nothing of the product's time. It is not copied.
    """
    weight, full_bias = weight.detach(), bias.detach().float()

    def product(x: Tensor) -> Tensor:
        out = F.linear(x.float(), weight.float(), full_bias)
        return (gelu_tanh(out) if gelu else out).to(x.dtype)

    return product


def quantise_fp8(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return x [rows, width] in e4m3, and each row's scale [rows, 1] float32: x is about their product."""
    full = x.float()
    # A row of zeros must not divide by zero. The largest value of a row comes to 448, so that nothing overflows.
    scale = full.abs().amax(dim=-1, keepdim=True).clamp_min(1e-12) / LARGEST_E4M3
    return (full / scale).to(E4M3), scale


def fp8_linear(weight: Tensor, bias: Tensor, *, gelu: bool = False) -> LinearOp:
    """Return x -> x weight^T + bias in FP8: [..., in] -> [..., out] in x's type.

    Args:
        weight: [out, in] float, each a multiple of 16.
        bias: [out].
        gelu: apply the tanh form of GELU to the result.
    """
    quantised, scale = quantise_fp8(weight.detach())
    # The product wants its second factor by columns, which is how the rows lie.
    columns, column_scale, bias = quantised.t(), scale.t().contiguous(), bias.detach().clone()

    def product(x: Tensor) -> Tensor:
        rows, row_scale = quantise_fp8(x.reshape(-1, x.shape[-1]))
        out = torch._scaled_mm(
            rows,
            columns,
            scale_a=row_scale,
            scale_b=column_scale,
            bias=bias,
            out_dtype=x.dtype,
            use_fast_accum=True,
        )
        return out.view(*x.shape[:-1], -1)

    return _finished(product, gelu)


def int8_linear(weight: Tensor, bias: Tensor, *, gelu: bool = False) -> LinearOp:
    """Return x -> x weight^T + bias in int8, with sums in int32; arguments as `fp8_linear`."""
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

    return _finished(product, gelu)


def transformer_engine_linear(weight: Tensor, bias: Tensor, *, gelu: bool = False) -> LinearOp:
    """Return x -> x weight^T + bias by transformer-engine, quantised anew for each input; arguments as `fp8_linear`."""
    engine = importlib.import_module("transformer_engine.pytorch")
    recipe = importlib.import_module("transformer_engine.common.recipe").Float8CurrentScaling()
    out_features, in_features = weight.shape
    # The weight is quantised here, once, and not at every call.
    with engine.quantized_model_init(enabled=True, recipe=recipe):
        linear = engine.Linear(in_features, out_features, bias=True, params_dtype=weight.dtype, device=weight.device)
    with torch.no_grad():
        linear.weight.copy_(weight)
        linear.bias.copy_(bias)

    def product(x: Tensor) -> Tensor:
        with engine.autocast(enabled=True, recipe=recipe):
            out: Tensor = linear(x)
        return out

    return _finished(product, gelu)


_EIGHT_BITS: dict[str, LinearFactory] = {"fp8": fp8_linear, "te-fp8": transformer_engine_linear, "int8": int8_linear}
EIGHT_BITS = tuple(_EIGHT_BITS)
"""the names that compute in eight bits"""
