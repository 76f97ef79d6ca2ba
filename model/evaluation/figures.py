"""Figures of an evaluation: values with intervals, what the drawn world has, and the goals they are held against."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np

from longtake.model.evaluation.adherence import Score

GENERATED, THROUGH, DRAWN = "generated", "through", "drawn"
"""where pictures come from: the model, the renderer by way of the autoencoder, the renderer"""
ROUNDS = 1000
"""resamples of a bootstrap interval"""


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What was measured on one take."""

    tags: dict[str, str] = field(default_factory=dict)
    """what the take shows, such as `place` and `weather`"""
    values: dict[str, dict[str, float]] = field(default_factory=dict)
    """source, name, value; a share of hits is 0 or 1"""
    series: dict[str, list[float]] = field(default_factory=dict)
    """values along the take, for plots"""
    notes: list[dict[str, str]] = field(default_factory=list)
    """what went wrong, such as a wrong reading"""


@dataclass(frozen=True, kw_only=True)
class Goal:
    """A limit that a figure should keep."""

    limit: float
    above: bool = True
    """True if the figure should be at least the limit, False if at most"""

    def met(self, value: float) -> bool:
        """Whether a value keeps the limit; NaN never does."""
        return value >= self.limit if self.above else value <= self.limit

    def __str__(self) -> str:
        return f"{'>=' if self.above else '<='} {self.limit:g}"


@dataclass(frozen=True, kw_only=True)
class Figure:
    """One figure of a report."""

    name: str
    value: float
    interval: tuple[float, float] = (math.nan, math.nan)
    """95 %"""
    samples: int = 0
    drawn: float | None = None
    """the same of the drawn world; None if it says nothing there"""
    through: float | None = None
    """the same of the drawn world through the autoencoder"""
    goal: Goal | None = None
    part: str = ""
    """the part of the samples that it is of, such as "weather rain"; empty for all"""

    @property
    def verdict(self) -> str:
        """`met`, `missed`, or nothing without a goal."""
        return "" if self.goal is None else "met" if self.goal.met(self.value) else "missed"


Item = TypeVar("Item")


def bootstrap(items: Sequence[Item], statistic: Callable[[Sequence[Item]], float]) -> tuple[float, float]:
    """Return the 95 % percentile interval of a statistic over resampled items; NaN for fewer than two."""
    if len(items) < 2:
        return math.nan, math.nan
    rng = np.random.default_rng(len(items))
    draws = rng.integers(len(items), size=(ROUNDS, len(items)))
    values = sorted(statistic([items[i] for i in row]) for row in draws.tolist())
    return values[round(0.025 * (ROUNDS - 1))], values[round(0.975 * (ROUNDS - 1))]


def share(name: str, hits: Sequence[float], *, goal: Goal | None = None, drawn: float | None = None) -> Figure:
    """Return a share of hits (0 or 1 each) with Wilson's interval."""
    score = Score(hits=round(sum(hits)), trials=len(hits))
    return Figure(name=name, value=score.rate, interval=score.interval, samples=score.trials, goal=goal, drawn=drawn)


def mean(values: Sequence[float]) -> float:
    """Return the mean, NaN of nothing."""
    return sum(values) / len(values) if values else math.nan


def ratio(over: Sequence[float], under: Sequence[float]) -> float:
    """Return the quotient of two sums; a ratio of sums is not upset by a take that hardly moves."""
    return sum(over) / max(sum(under), 1e-12) if under else math.nan


def source_values(samples: Sequence[Sample], source: str, name: str) -> list[float]:
    """Return the values of a name and a source, of the samples that have it."""
    return [s.values[source][name] for s in samples if name in s.values.get(source, {})]
