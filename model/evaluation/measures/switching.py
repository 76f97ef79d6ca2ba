"""How long a switch takes: frames until the probe reads the new label and keeps it; and what stays as it was.

The new prompt asks for another place, time and weather with the same actor. The drawn world switches at the same frame.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from longtake.model.diorama.captions import canonical
from longtake.model.diorama.labels import FPS, LABELS
from longtake.model.diorama.scene import Scene, Switch, balanced_scene
from longtake.model.evaluation.figures import (
    DRAWN,
    GENERATED,
    Figure,
    Goal,
    Sample,
    bootstrap,
    mean,
    share,
    source_values,
)
from longtake.model.evaluation.measures.base import Effort
from longtake.model.evaluation.studio import Pictures, Read, Studio
from longtake.model.interface.world_model import Conditioning

BEFORE_S, AFTER_S = 5.0, 5.0
CHANGED, KEPT = ("place", "time", "weather"), ("actor", "colour")
SCENES_SEED = 21
NEVER = -1.0
"""stands for a label that was never read for good"""
PLACE_WITHIN_S = 1.5
READ, IN_TIME, STAYED = 0.95, 0.90, 0.97


class Switching:
    """See the module."""

    name = "switch"
    needs = ("reading", "drawing")

    def takes(self, effort: Effort) -> int:
        """See `Measure`."""
        return effort.switches

    def shoot(self, studio: Studio, index: int, effort: Effort) -> Sample:
        """See `Measure`."""
        made, drawn = self.generated(studio, index), self.drawn(studio, index)
        return replace(made, values=made.values | drawn.values)

    def generated(self, studio: Studio, index: int) -> Sample:
        """Film one switch; `series` has 1 for each block after it that reads right, by kind."""
        scene, other = scenes(index)
        first, blocks = studio.blocks_in(BEFORE_S), studio.blocks_in(BEFORE_S + AFTER_S)
        frames = studio.film(canonical(scene), index, blocks, {first: Conditioning(prompt=canonical(other))})
        return _seen(studio, GENERATED, frames, first * studio.block_frames, other)

    def drawn(self, studio: Studio, index: int) -> Sample:
        """Draw the same switch."""
        scene, other = scenes(index)
        at, blocks = studio.blocks_in(BEFORE_S) * studio.block_frames, studio.blocks_in(BEFORE_S + AFTER_S)
        frames = studio.draw(scene, index, blocks, switch=Switch(frame=at, scene=other))
        return _seen(studio, DRAWN, frames, at, other)

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        """See `Measure`."""
        found = []
        for kind in CHANGED:
            right, drawn = (_reached(samples, source, kind) for source in (GENERATED, DRAWN))
            found.append(share(f"switch: {kind} read", right, drawn=mean(drawn), goal=Goal(limit=READ)))
        found += [_latency(samples, kind) for kind in CHANGED]
        limit = PLACE_WITHIN_S * FPS
        in_time, drawn = (
            [float(0 <= value <= limit) for value in source_values(samples, source, "place")]
            for source in (GENERATED, DRAWN)
        )
        name = f"switch: place within {PLACE_WITHIN_S:g} s"
        found.append(share(name, in_time, drawn=mean(drawn), goal=Goal(limit=IN_TIME)))
        for kind in KEPT:
            kept, drawn = (source_values(samples, source, f"kept {kind}") for source in (GENERATED, DRAWN))
            found.append(share(f"switch: {kind} kept", kept, drawn=mean(drawn), goal=Goal(limit=STAYED)))
        return found


def scenes(index: int) -> tuple[Scene, Scene]:
    """Return what a take shows first, and what it switches to."""
    scene = balanced_scene(SCENES_SEED, index)
    return scene, another(scene, index)


def another(scene: Scene, index: int) -> Scene:
    """Return a scene with another place, time and weather, and the same actor."""
    rng = np.random.default_rng([index, SCENES_SEED])

    def other(kind: str) -> str:
        return str(rng.choice([label for label in LABELS[kind] if label != getattr(scene, kind)]))

    return scene.changed(**{kind: other(kind) for kind in CHANGED})


def readings_of(frames: Pictures, read: Read, block_frames: int) -> list[Mapping[str, str]]:
    """Return the labels of each block of frames [T, H, W, 3] uint8."""
    return [read(frames[at : at + block_frames]) for at in range(0, len(frames), block_frames)]


def switch_values(
    readings: Sequence[Mapping[str, str]], labels: Mapping[str, str], block_frames: int
) -> dict[str, float]:
    """Judge the blocks after a switch.

    Args:
        readings: the labels read in each block, from the first that can show the new scene.
        labels: what the new scene is.
        block_frames: frames of a block.

    Returns:
        Latency in frames by kind, or `NEVER`; and, for what should stay, 1 if the last reading is right.
    """
    found = {kind: latency([r[kind] == labels[kind] for r in readings], block_frames) for kind in CHANGED}
    return found | {f"kept {kind}": float(readings[-1][kind] == labels[kind]) for kind in KEPT}


def jump(frames: Pictures, at: int) -> float:
    """Return the mean change, 0..1, from the frame before `at` to that at `at`."""
    return float(np.abs(frames[at].astype(np.float32) - frames[at - 1]).mean() / 255)


def latency(right: Sequence[bool], block_frames: int) -> float:
    """Return the frames up to the end of the first block from which on every reading is right, or `NEVER`."""
    wrong = [index for index, answer in enumerate(right) if not answer]
    first = wrong[-1] + 1 if wrong else 0
    return NEVER if first == len(right) else float((first + 1) * block_frames)


def _seen(studio: Studio, source: str, frames: Pictures, at: int, scene: Scene) -> Sample:
    assert studio.read is not None
    labels, block_frames = scene.labels(), studio.block_frames
    readings = readings_of(frames[at:], studio.read, block_frames)
    values = switch_values(readings, labels, block_frames) | {"jump": jump(frames, at)}
    right = {kind: [float(reading[kind] == labels[kind]) for reading in readings] for kind in (*CHANGED, *KEPT)}
    seconds = [(number + 1) * block_frames / studio.fps for number in range(len(readings))]
    return Sample(tags=labels, values={source: values}, series={"seconds": seconds, **right})


def _reached(samples: Sequence[Sample], source: str, kind: str) -> list[float]:
    return [float(value != NEVER) for value in source_values(samples, source, kind)]


def _latency(samples: Sequence[Sample], kind: str) -> Figure:
    """Return the median latency in seconds of the switches that were read."""
    made, drawn = (
        [value / FPS for value in source_values(samples, source, kind) if value != NEVER]
        for source in (GENERATED, DRAWN)
    )
    return Figure(
        name=f"switch latency: {kind}, median s",
        value=_median(made),
        interval=bootstrap(made, _median),
        samples=len(made),
        drawn=_median(drawn),
    )


def _median(values: Sequence[float]) -> float:
    return float(np.median(values)) if values else math.nan
