"""Tri Dao's flash-attn, versions 2 and 3, which PyPI serves as sources only."""

import importlib
from importlib.util import find_spec

import torch
from torch import Tensor

from longtake.model.choice import Target
from longtake.model.ops.attention.base import Attention
from longtake.model.ops.precision import HALF_TYPES

FLASH_MODULES = {"flash3": "flash_attn_interface", "flash2": "flash_attn"}
"""by name, the faster first"""
HOPPER = 9
"""compute capability that version 3 is written for"""

_INSTALL = {
    "flash3": "build flash-attention's hopper folder (it installs the module flash_attn_interface)",
    "flash2": "pip install flash-attn --no-build-isolation",
}


def flash_attention(name: str) -> Attention:
    """Return the attention of `FLASH_MODULES`, whose functions want [B, tokens, heads, head_dim]."""
    function = importlib.import_module(FLASH_MODULES[name]).flash_attn_func

    def flash(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        out = function(q.transpose(1, 2), k.transpose(1, 2), v.transpose(1, 2))
        # Some releases return (out, log-sum-exp).
        attended: Tensor = out[0] if isinstance(out, tuple) else out
        return attended.transpose(1, 2)

    return flash


def missing_flash(name: str, target: Target) -> str | None:
    """Return why a version cannot be had on a target, or None."""
    if target.device.type != "cuda":
        return f"attention {name!r} needs a CUDA device, not {target.device.type}"
    if name == "flash3" and torch.cuda.get_device_capability(target.device)[0] != HOPPER:
        return "attention 'flash3' needs a Hopper GPU (compute capability 9)"
    if target.dtype not in HALF_TYPES:  # flash-attn computes in nothing else
        return f"attention {name!r} computes in half precision only, not {target.dtype}"
    if find_spec(FLASH_MODULES[name]) is None:
        return f"attention {name!r} is not installed: {_INSTALL[name]}"
    return None
