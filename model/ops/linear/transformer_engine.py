"""FP8 by NVIDIA's transformer-engine, with one scale for each tensor. The package is optional and imported late.

Names and arguments are those of release 2.20.2, read in its wheel in November 2026. It has not run on hardware here.
"""

import importlib
from importlib.util import find_spec

import torch
from torch import Tensor

from longtake.model.choice import Target
from longtake.model.ops.linear.base import LinearOp, with_gelu
from longtake.model.ops.linear.fp8 import missing_fp8

TE_ROWS = 8
"""what transformer-engine wants the rows of an FP8 product to be a multiple of"""


def transformer_engine_linear(weight: Tensor, bias: Tensor, *, gelu: bool = False) -> LinearOp:
    """Return x -> x weight^T + bias by transformer-engine, quantised again for each input; see `LinearFactory`."""
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

    return with_gelu(product, gelu)


def missing_transformer_engine(target: Target) -> str | None:
    """Return why transformer-engine's products cannot be had on a target, or None."""
    if target.device.type != "cuda":
        return f"linear 'te-fp8' needs a CUDA device, not {target.device.type}; use --linear fp8"
    if problem := missing_fp8("te-fp8", target):
        return problem
    if target.block_tokens % TE_ROWS:
        return (
            f"linear 'te-fp8' needs a multiple of {TE_ROWS} tokens in a block, not {target.block_tokens}; "
            "use --linear fp8"
        )
    if find_spec("transformer_engine") is None:
        return "transformer-engine is not installed: pip install --no-build-isolation 'transformer-engine[pytorch]'"
    return None
