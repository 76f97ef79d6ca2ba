"""Turns the takes of an ablation into figures with intervals, and the figures into tables.

Shares have Wilson's interval, all else a bootstrap over takes; every figure says how many takes or readings it is of.
Readings of several labels in one take count one by one.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from longtake.model.diorama.labels import SCORED
from longtake.model.evaluation.ablations.takes import LONG_S, SWITCH_S
from longtake.model.evaluation.figures import (
    DRAWN,
    GENERATED,
    Figure,
    Sample,
    bootstrap,
    mean,
    ratio,
    share,
    source_values,
)
from longtake.model.evaluation.measures.looks import looks_figures
from longtake.model.evaluation.measures.switching import CHANGED, KEPT, NEVER

Shot = Mapping[int, Sample]
"""the takes of one condition by number"""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """One column of a table."""

    called: str
    says: str
    weights: str
    shot: Shot
    figures: Sequence[Figure]


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """The table of an ablation."""

    name: str
    asks: str
    outcomes: Sequence[Outcome]
    missing: Mapping[str, str]
    """conditions that this machine cannot run, and why"""

    @property
    def rows(self) -> list[str]:
        """The names of all figures, in order."""
        return list(dict.fromkeys(figure.name for outcome in self.outcomes for figure in outcome.figures))


ASKS = {
    "switch": "At a prompt switch: recache, keep the window's keys and values, or clear them?",
    "sink": "The same window with the take's first latent frame in it, and without?",
    "long": "What do minutes do to a take?",
    "steps": "How many sampler steps?",
    "precision": "What does rounding cost?",
}


def figures(name: str, shot: Shot, drawn: Shot) -> list[Figure]:
    """Return the figures of one condition of an ablation, from its takes and the same takes drawn."""
    if not shot:
        return []
    if name == "switch":
        return switch_figures(shot, drawn)
    return long_figures(shot) if name in ("sink", "long") else short_figures(shot, drawn)


def switch_figures(shot: Shot, drawn: Shot) -> list[Figure]:
    """Return the labels after 1, 2 and 5 s, the time until the place is there, what was kept, and the jump."""
    samples = list(shot.values())
    found = [
        share(f"{kind} read after {second:g} s", [value_at(s, kind, second) for s in samples])
        for kind in CHANGED
        for second in SWITCH_S
    ]
    source = GENERATED if GENERATED in samples[0].values else DRAWN
    reached = [value for value in source_values(samples, source, "place") if value != NEVER]
    found.append(Figure(name="frames until the place is read and kept, median", value=_median(reached),
                        interval=bootstrap(reached, _median), samples=len(reached)))  # fmt: skip
    found += [share(f"{kind} kept", source_values(samples, source, f"kept {kind}")) for kind in KEPT]
    pairs = [(shot[i].values[source]["jump"], drawn[i].values[DRAWN]["jump"]) for i in shot if i in drawn]
    return [*found, _over(pairs, "change at the switch / drawn")]


def long_figures(shot: Shot) -> list[Figure]:
    """Return labels, detail, motion and colour at each of `LONG_S` that the takes reach, against their fifth second."""
    samples = list(shot.values())
    seconds = samples[0].series["seconds"]
    found = [_labels(samples, seconds[0])]
    for second in (second for second in LONG_S if second in seconds):
        found.append(_labels(samples, second))
        for what in ("detail", "motion"):
            quotients = [value_at(s, what, second) / max(s.series[what][0], 1e-12) for s in samples]
            found.append(_mean(f"{what} at {second:g} s / at {seconds[0]:g} s", quotients))
        found.append(
            _mean(f"colour's distance at {second:g} s, of 255", [value_at(s, "colour", second) for s in samples])
        )
    return found


def short_figures(shot: Shot, drawn: Shot) -> list[Figure]:
    """Return the labels of short takes, and detail, motion and evenness against the drawn ones."""
    samples = list(shot.values())
    source = GENERATED if GENERATED in samples[0].values else DRAWN
    read = [value for kind in SCORED for value in source_values(samples, source, f"read {kind}")]
    labels = [share("labels read at the end", read)] if read else []
    both = [
        Sample(values={GENERATED: shot[i].values[source], DRAWN: drawn[i].values[DRAWN]}) for i in shot if i in drawn
    ]
    return [*labels, *(looks_figures(both) if both else [])]


def value_at(sample: Sample, name: str, second: float) -> float:
    """Return a value of a series at the second that is nearest."""
    seconds = sample.series["seconds"]
    nearest = min(range(len(seconds)), key=lambda index: abs(seconds[index] - second))
    return sample.series[name][nearest]


def as_json(ablation: Ablation) -> dict[str, object]:
    """Return a table as a value for JSON."""
    return {
        "ablation": ablation.name,
        "asks": ablation.asks,
        "conditions": [
            {
                "name": outcome.called,
                "says": outcome.says,
                "weights": outcome.weights,
                "takes": len(outcome.shot),
                "figures": [
                    {"name": f.name, "value": f.value, "interval_95": f.interval, "of": f.samples}
                    for f in outcome.figures
                ],
            }
            for outcome in ablation.outcomes
        ],
        "missing": dict(ablation.missing),
    }


def markdown(ablation: Ablation) -> str:
    """Return a table in Markdown, a row for each figure and a column for each condition."""
    shown = [outcome for outcome in ablation.outcomes if outcome.figures]
    lines = [f"### {ablation.asks}", ""]
    if shown:
        lines += [f"| | {' | '.join(outcome.called for outcome in shown)} |", f"|---|{'---|' * len(shown)}"]
        by_name = [{figure.name: figure for figure in outcome.figures} for outcome in shown]
        lines += [
            f"| {row} | {' | '.join(cell(found[row]) if row in found else '' for found in by_name)} |"
            for row in ablation.rows
        ]
        lines.append("")
    lines += [f"- *{outcome.called}*: {outcome.says}; {_takes(outcome)}." for outcome in shown]
    lines += [f"- *{called}* was not measured: {reason}." for called, reason in ablation.missing.items()]
    return "\n".join(lines).rstrip() + "\n"


def cell(figure: Figure) -> str:
    """Return a figure as a table says it: the value, its interval, and of how many."""
    if not figure.samples or not math.isfinite(figure.value):
        return "none"
    low, high = figure.interval
    between = f" ({low:.2f} to {high:.2f})" if math.isfinite(low) else ""
    return f"{figure.value:.2f}{between}, {figure.samples}"


def _takes(outcome: Outcome) -> str:
    return f"{len(outcome.shot)} take{'s'[: len(outcome.shot) != 1]}, weights {outcome.weights}"


def _labels(samples: Sequence[Sample], second: float) -> Figure:
    read = [value_at(s, f"read {kind}", second) for s in samples for kind in SCORED if f"read {kind}" in s.series]
    return share(f"labels read at {second:g} s", read)


def _mean(name: str, values: Sequence[float]) -> Figure:
    return Figure(name=name, value=mean(values), interval=bootstrap(values, mean), samples=len(values))


def _over(pairs: Sequence[tuple[float, float]], name: str) -> Figure:
    def quotient(some: Sequence[tuple[float, float]]) -> float:
        return ratio([made for made, _ in some], [drawn for _, drawn in some])

    if not pairs:
        return Figure(name=name, value=math.nan)
    return Figure(name=name, value=quotient(pairs), interval=bootstrap(pairs, quotient), samples=len(pairs))


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else math.nan
