"""How diorama is loaded, beyond device and precision."""

from dataclasses import dataclass
from pathlib import Path

from longtake.model.options import BackendOptions


@dataclass(frozen=True, kw_only=True)
class DioramaOptions(BackendOptions):
    """Options of diorama."""

    folder: Path | None = None
    """folder of the weights, as training writes it; None takes the weights that ship"""
