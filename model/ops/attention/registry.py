"""The attentions by name. To add one, see docs/howto/add-a-kernel.md."""

from functools import partial

from longtake.model.choice import Choice, Registry, Target
from longtake.model.ops.attention.base import Attention, bmm, sdpa
from longtake.model.ops.attention.flash import FLASH_MODULES, flash_attention, missing_flash
from longtake.model.ops.attention.upcast import missing_upcast, upcast
from longtake.model.ops.precision import cpu_multiplies


def _flash(name: str) -> Choice[Attention]:
    return Choice(make=lambda target: flash_attention(name), missing=partial(missing_flash, name))


def _automatic(target: Target) -> str:
    if target.device.type == "cpu":
        return "bmm" if cpu_multiplies(target.dtype) else "upcast"
    return next((name for name in FLASH_MODULES if missing_flash(name, target) is None), "sdpa")


ATTENTIONS: Registry[Attention] = Registry(
    "attention",
    {
        **{name: _flash(name) for name in FLASH_MODULES},
        "sdpa": Choice(make=lambda target: sdpa),
        "bmm": Choice(make=lambda target: bmm),
        "upcast": Choice(make=lambda target: upcast, missing=missing_upcast),
    },
    _automatic,
)
