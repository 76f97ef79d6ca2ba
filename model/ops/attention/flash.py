"""Tri Dao's flash-attn, versions 2 and 3, and version 3 in eight bits.

Version 3 comes as either of two modules: `flash_attn_interface`, built from the sources' hopper folder, or
`fa3_fwd_interface`, a third party's build of the forward pass (PyPI: fa3-fwd).
"""

import importlib
from importlib.util import find_spec

import torch
from torch import Tensor

from longtake.model.choice import Target
from longtake.model.ops.attention.base import Attention
from longtake.model.ops.attention.fp8 import Fp8Attention
from longtake.model.ops.precision import HALF_TYPES

_FLASH3 = ("flash_attn_interface", "fa3_fwd_interface")
FLASH_MODULES = {"flash3": _FLASH3, "flash3-fp8": _FLASH3, "flash2": ("flash_attn",)}
"""the modules that have a version, the first that is there is taken"""
AUTOMATIC = ("flash3", "flash2")
"""what `auto` takes if it is there, the faster first"""
HOPPER = 9
"""compute capability that version 3 is written for"""

_INSTALL = {
    "flash3": "pip install 'longtake[flash3]' (a third party's build), or build flash-attention's hopper folder",
    "flash2": "pip install flash-attn --no-build-isolation",
}


def flash_attention(name: str) -> Attention:
    """Return the attention of `FLASH_MODULES`, whose functions want [B, tokens, heads, head_dim]."""
    module = next(module for module in FLASH_MODULES[name] if find_spec(module) is not None)
    function = importlib.import_module(module).flash_attn_func

    def flash(q: Tensor, k: Tensor, v: Tensor, **more: Tensor) -> Tensor:
        out = function(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2), **more)
        # Some releases return (out, log-sum-exp).
        attended: Tensor = out[0] if isinstance(out, tuple) else out
        return attended.transpose(1, 2)

    def flash_fp8(q: Tensor, k: Tensor, v: Tensor, key_scale: Tensor, value_scale: Tensor) -> Tensor:
        query_scale = torch.ones_like(key_scale)
        return flash(q, k, v, q_descale=query_scale, k_descale=key_scale, v_descale=value_scale)

    return Fp8Attention(flash_fp8) if name == "flash3-fp8" else flash


def missing_flash(name: str, target: Target) -> str | None:
    """Return why a version cannot be had on a target, or None."""
    version = name.removesuffix("-fp8")
    if target.device.type != "cuda":
        return f"attention {name!r} needs a CUDA device, not {target.device.type}"
    if version == "flash3" and torch.cuda.get_device_capability(target.device)[0] != HOPPER:
        return f"attention {name!r} needs a Hopper GPU (compute capability 9)"
    if target.dtype not in HALF_TYPES:  # flash-attn computes in nothing else
        return f"attention {name!r} computes in half precision only, not {target.dtype}"
    if name == "flash3-fp8" and target.dtype != torch.bfloat16:
        return f"attention {name!r} returns bf16, not {target.dtype}; use --precision bf16"
    if all(find_spec(module) is None for module in FLASH_MODULES[name]):
        return f"attention {name!r} is not installed: {_INSTALL[version]}"
    return None
