"""What minutes do to a take: colour, sharpness and motion against its fifth second, and the labels if there is a probe.

Works for any model: nothing is drawn.
"""

import math
from collections.abc import Sequence

import numpy as np

from longtake.model.diorama.captions import canonical
from longtake.model.diorama.labels import SCORED
from longtake.model.diorama.scene import balanced_scene
from longtake.model.evaluation.figures import GENERATED, Figure, Goal, Sample, bootstrap, mean, source_values
from longtake.model.evaluation.measures.base import Effort
from longtake.model.evaluation.measures.looks import looks_of
from longtake.model.evaluation.studio import Pictures, Studio

START_S = 5.0
"""what the rest of the take is compared with"""
STEP_S = 20.0
"""how often a long take is measured"""
WINDOW_S = 2.0
"""length of what is measured each time"""
VOTE_FRAMES = 8
SCENES_SEED = 33
LABELS_LOST, DETAIL_LOST = 0.03, 0.05
"""the goals: share of labels lost, and change of detail, at the end against the start"""


class Drift:
    """See the module."""

    name = "drift"
    needs = ()

    def takes(self, effort: Effort) -> int:
        """See `Measure`."""
        return effort.drifts

    def shoot(self, studio: Studio, index: int, effort: Effort) -> Sample:
        """See `Measure`."""
        return watched(studio, index, moments(effort.drift_seconds))

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        """See `Measure`."""
        end = max(s.series["seconds"][-1] for s in samples)
        name = f"{end:g} s against {START_S:g} s"
        found = []
        if any(s.values[GENERATED] for s in samples):
            lost = [mean(_labels(s, "early")) - mean(_labels(s, "late")) for s in samples if s.values[GENERATED]]
            found.append(
                Figure(
                    name=f"drift: labels lost, {name}",
                    value=mean(lost),
                    interval=bootstrap(lost, mean),
                    samples=len(lost),
                    goal=Goal(limit=LABELS_LOST, above=False),
                )
            )
        changes = {what: [s.series[what][-1] / max(s.series[what][0], 1e-12) for s in samples] for what in _WATCHED}
        for what, quotients in changes.items():
            found.append(
                Figure(
                    name=f"drift: {what}, {name}",
                    value=mean(quotients),
                    interval=bootstrap(quotients, mean),
                    samples=len(quotients),
                )
            )
        moved = [abs(quotient - 1) for quotient in [mean(changes["detail"])]]
        found.append(
            Figure(
                name="drift: change of detail",
                value=moved[0],
                samples=len(samples),
                goal=Goal(limit=DETAIL_LOST, above=False),
            )
        )
        colours = [s.series["colour"][-1] for s in samples]
        return [
            *found,
            Figure(
                name="drift: change of colour, of 255",
                value=mean(colours),
                interval=bootstrap(colours, mean),
                samples=len(colours),
            ),
        ]


def watched(studio: Studio, index: int, seconds: Sequence[float]) -> Sample:
    """Film one take and measure the two seconds before each of the given ones.

    With a probe, `series` has 1 for each moment at which a kind of label is right, by kind.
    """
    scene = balanced_scene(SCENES_SEED, index)
    window = max(2, studio.blocks_in(WINDOW_S))
    stops = [studio.blocks_in(second) for second in seconds]
    series: dict[str, list[float]] = {"seconds": [], "detail": [], "motion": [], "colour": []}
    kept: list[Pictures] = []
    first: Pictures | None = None
    for count, block in enumerate(studio.blocks(canonical(scene), index, stops[-1]), start=1):
        kept = [*kept, block][-window:]
        if count not in stops:
            continue
        frames = np.concatenate(kept)
        first = frames if first is None else first
        found = looks_of(frames[-(len(frames) // studio.block_frames * studio.block_frames) :], studio.block_frames)
        series["seconds"].append(count * studio.block_frames / studio.fps)
        series["detail"].append(found["detail"])
        series["motion"].append(found["motion"])
        series["colour"].append(colour_distance(frames, first))
        if studio.read is not None:
            read, labels = studio.read(frames[-VOTE_FRAMES:]), scene.labels()
            for kind in SCORED:
                if kind in read:
                    series.setdefault(f"read {kind}", []).append(float(read[kind] == labels[kind]))
    values: dict[str, float] = {}
    for kind in SCORED:
        if right := series.get(f"read {kind}"):
            values |= {f"early {kind}": right[0], f"late {kind}": right[-1]}
    return Sample(tags=scene.labels(), values={GENERATED: values}, series=series)


_WATCHED = ("detail", "motion")


def moments(seconds: float) -> list[float]:
    """Return the seconds at which a take of this length is measured, the first `START_S` and the last its end."""
    steps = math.ceil(seconds / STEP_S)
    return [START_S, *(STEP_S * step for step in range(1, steps)), seconds]


def colour_distance(frames: Pictures, first: Pictures) -> float:
    """Return how far the mean colour of frames [T, H, W, 3] has moved from that of `first`, in 0..255 RGB."""
    moved = frames.mean((0, 1, 2)) - first.mean((0, 1, 2))
    return float(np.sqrt((moved**2).mean()))


def _labels(sample: Sample, when: str) -> list[float]:
    return [value for kind in SCORED for value in source_values([sample], GENERATED, f"{when} {kind}")]
