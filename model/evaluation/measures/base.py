"""A measure: films takes one by one, and turns what it found into figures."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from longtake.model.evaluation.figures import Figure, Sample
from longtake.model.evaluation.studio import Studio


@dataclass(frozen=True, kw_only=True)
class Effort:
    """How much is filmed."""

    scenes: int = 18
    """scenes whose looks are compared with the drawn ones"""
    pairs: int = 6
    """scenes filmed both fast and slow"""
    steered: int = 6
    switches: int = 24
    wordings: int = 24
    drifts: int = 4
    drift_seconds: float = 240.0

    def __post_init__(self) -> None:
        counts = (self.scenes, self.pairs, self.steered, self.switches, self.wordings, self.drifts)
        if min(counts) < 1 or self.drift_seconds < MIN_DRIFT_S:
            raise ValueError(f"every count must be 1 or more, and a drift {MIN_DRIFT_S:g} s or longer")


MIN_DRIFT_S = 10.0
FULL = Effort()
QUICK = Effort(scenes=4, pairs=2, steered=1, switches=2, wordings=4, drifts=1, drift_seconds=MIN_DRIFT_S)


class Measure(Protocol):
    """One measure. Takes are independent of each other, so they can be filmed in pieces and put together."""

    @property
    def name(self) -> str:
        """What it is called, a single word."""
        ...

    @property
    def needs(self) -> tuple[str, ...]:
        """Which of `Studio.abilities` it needs."""
        ...

    def takes(self, effort: Effort) -> int:
        """Return how many takes there are."""
        ...

    def shoot(self, studio: Studio, index: int, effort: Effort) -> Sample:
        """Film one take and measure it."""
        ...

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        """Return the figures of takes, all or some."""
        ...
