"""The attentions by name. To add one, see docs/howto/add-a-kernel.md.

| name | what it is | where |
|---|---|---|
| flash3 | flash-attn 3 (`longtake.model.ops.attention.flash`) | Hopper, half precision |
| flash3-fp8 | the same in e4m3; `auto` never selects it (`longtake.model.ops.attention.fp8`) | Hopper, bf16 |
| flash2 | flash-attn 2 | GPU, half precision |
| cudnn | torch's attention with cuDNN's kernel | GPU, half precision |
| sdpa | torch's attention, which picks its own kernel | everywhere |
| bmm | two products | everywhere |
| upcast | two products in fp32 | CPU, half precision |
"""

from functools import partial

from longtake.model.choice import Choice, Registry, Target
from longtake.model.ops.attention.base import Attention, bmm, sdpa
from longtake.model.ops.attention.cudnn import cudnn, missing_cudnn
from longtake.model.ops.attention.flash import AUTOMATIC, FLASH_MODULES, flash_attention, missing_flash
from longtake.model.ops.attention.upcast import missing_upcast, upcast
from longtake.model.ops.precision import cpu_multiplies


def _flash(name: str) -> Choice[Attention]:
    return Choice(make=lambda target: flash_attention(name), missing=partial(missing_flash, name))


def _automatic(target: Target) -> str:
    if target.device.type == "cpu":
        return "bmm" if cpu_multiplies(target.dtype) else "upcast"
    return next((name for name in AUTOMATIC if missing_flash(name, target) is None), "sdpa")


EIGHT_BITS = ("flash3-fp8",)
"""the names that compute in eight bits"""

ATTENTIONS: Registry[Attention] = Registry(
    "attention",
    {
        **{name: _flash(name) for name in FLASH_MODULES},
        "cudnn": Choice(make=lambda target: cudnn, missing=missing_cudnn),
        "sdpa": Choice(make=lambda target: sdpa),
        "bmm": Choice(make=lambda target: bmm),
        "upcast": Choice(make=lambda target: upcast, missing=missing_upcast),
    },
    _automatic,
)
