"""How diorama is loaded, beyond device and precision."""

from dataclasses import dataclass
from pathlib import Path

from longtake.model.errors import ConfigError
from longtake.model.options import BackendOptions

MOST_STEPS = 50


@dataclass(frozen=True, kw_only=True)
class DioramaOptions(BackendOptions):
    """Options of diorama."""

    folder: Path | None = None
    """folder of the weights, as training writes it; None takes the weights that ship"""
    steps: int | None = None
    """sampler steps a block, 1 to 50; None takes the four that a laptop has time for. More are sharper and slower, with
    weights that are not distilled; others have to do with theirs"""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.steps is not None and not 1 <= self.steps <= MOST_STEPS:
            raise ConfigError(f"steps must be 1 to {MOST_STEPS}, not {self.steps}")
