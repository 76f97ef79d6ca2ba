"""What is filmed for the ablations: a switch, a short take, or a long one, under one condition or drawn.

Each is a `Measure` of its own, so takes are kept one by one, and a stopped run goes on where it stood.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from longtake.model.evaluation.ablations.conditions import AS_IS, Condition, Conditions
from longtake.model.evaluation.figures import Figure, Sample
from longtake.model.evaluation.measures.base import Effort
from longtake.model.evaluation.measures.drift import START_S, moments, watched
from longtake.model.evaluation.measures.looks import Looks
from longtake.model.evaluation.measures.switching import Switching
from longtake.model.evaluation.studio import Studio

SWITCH_S = (1.0, 2.0, 5.0)
"""seconds after a switch at which the new labels are looked for"""
LONG_S = (10.0, 60.0, 240.0)
"""seconds of a long take that are held against its fifth"""
OTHERS = "the other weights"


@dataclass(frozen=True, kw_only=True)
class Extent:
    """How much is filmed."""

    takes: int = 8
    """switches and short takes of each condition"""
    long_takes: int = 4
    long_s: float = 240.0
    """length of the long takes"""
    sink_s: float = 60.0
    """length of the takes with and without sink"""

    def of(self, takes: int) -> "Extent":
        """Return the same with so many takes, and half as many long ones."""
        return replace(self, takes=takes, long_takes=(takes + 1) // 2)


FULL = Extent()
QUICK = Extent(takes=2, long_takes=2, long_s=60.0, sink_s=60.0)


class Kind(Protocol):
    """A measure that films under a condition and draws apart."""

    @property
    def name(self) -> str:
        """A single word."""
        ...

    def generated(self, studio: Studio, index: int) -> Sample:
        """Film one take."""
        ...

    def drawn(self, studio: Studio, index: int) -> Sample:
        """Draw the same take."""
        ...


class Long:
    """A long take against its fifth second; nothing is drawn for it."""

    def __init__(self, seconds: float) -> None:
        self.name = f"long{seconds:g}s"
        marks = [second for second in LONG_S if second < seconds]
        self.moments = sorted({START_S, *marks, *moments(seconds)})

    def generated(self, studio: Studio, index: int) -> Sample:
        """See `Kind`."""
        return watched(studio, index, self.moments)

    def drawn(self, studio: Studio, index: int) -> Sample:
        """See `Kind`: nothing."""
        return Sample()


@dataclass(frozen=True, kw_only=True)
class Filmed:
    """The takes of one kind under one condition: a `Measure` without figures of its own."""

    kind: Kind
    condition: Condition
    count: int
    needs: tuple[str, ...] = ("reading",)

    @property
    def name(self) -> str:
        """See `Measure`."""
        return f"{self.kind.name}-{self.condition.name}"

    def takes(self, effort: Effort) -> int:
        """See `Measure`."""
        return self.count

    def shoot(self, studio: Studio, index: int, effort: Effort) -> Sample:
        """See `Measure`."""
        return self.kind.generated(studio, index)

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        """See `Measure`: `longtake.model.evaluation.ablations.tables` compares conditions."""
        return []


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """The same takes as the renderer draws them, whatever the condition."""

    kind: Kind
    count: int
    needs: tuple[str, ...] = ("drawing",)

    @property
    def name(self) -> str:
        """See `Measure`."""
        return f"{self.kind.name}-drawn"

    def takes(self, effort: Effort) -> int:
        """See `Measure`."""
        return self.count

    def shoot(self, studio: Studio, index: int, effort: Effort) -> Sample:
        """See `Measure`."""
        return self.kind.drawn(studio, index)

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        """See `Measure`."""
        return []


@dataclass(frozen=True, kw_only=True)
class Column:
    """One column of an ablation's table."""

    called: str
    says: str
    filmed: Filmed
    against: bool = False
    """filmed with the other weights"""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What one ablation films."""

    name: str
    columns: tuple[Column, ...]
    drawn: Drawn | None
    """None if nothing is drawn for it"""


def plans(found: Conditions, extent: Extent, *, against: bool = False) -> list[Plan]:
    """Return what the ablations film, in the order of `ABLATIONS`.

    Args:
        found: `conditions`.
        extent: how much.
        against: whether there are other weights to hold long takes against.
    """
    switch, looks = Switching(), Looks()
    kinds: dict[str, Kind] = {"switch": switch, "steps": looks, "precision": looks}
    made = []
    for name, by_name in found.items():
        columns = []
        for called, condition in by_name.items():
            kind: Kind = kinds.get(name) or Long(extent.long_s if condition.name == AS_IS.name else extent.sink_s)
            count = extent.takes if name in kinds else extent.long_takes
            filmed = Filmed(kind=kind, condition=condition, count=count)
            columns.append(Column(called=called, says=condition.says, filmed=filmed))
        if name == "long" and against:
            columns += [replace(column, called=OTHERS, against=True) for column in columns]
        drawn = Drawn(kind=kinds[name], count=extent.takes) if name in kinds else None
        made.append(Plan(name=name, columns=tuple(columns), drawn=drawn))
    return made
