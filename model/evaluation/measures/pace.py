"""Whether "fast" is faster than "slow": how far the ground moves in a block."""

from collections.abc import Sequence

import numpy as np

from longtake.model.diorama.captions import canonical
from longtake.model.evaluation.figures import (
    DRAWN,
    GENERATED,
    Figure,
    Goal,
    Sample,
    bootstrap,
    mean,
)
from longtake.model.evaluation.flow import block_flow
from longtake.model.evaluation.measures.base import Effort
from longtake.model.evaluation.measures.flying import flying_scene
from longtake.model.evaluation.studio import Pictures, Studio

SECONDS = 4.0
SETTLED_BLOCKS = 4
"""blocks of a take that are left out"""
FAST_OVER_SLOW = 1.8
LEAST_SLOW = 0.5
"""of the drawn pace"""


class Pace:
    """See the module."""

    name = "speed"
    needs = ("drawing",)

    def takes(self, effort: Effort) -> int:
        """See `Measure`."""
        return effort.pairs

    def shoot(self, studio: Studio, index: int, effort: Effort) -> Sample:
        """Film a scene fast and slow, with the same seed."""
        scene, blocks = flying_scene(index), studio.blocks_in(SECONDS)
        values: dict[str, dict[str, float]] = {GENERATED: {}, DRAWN: {}}
        for speed in ("fast", "slow"):
            changed = scene.changed(speed=speed)
            values[GENERATED][speed] = pace_of(studio.film(canonical(changed), index, blocks), studio.block_frames)
            values[DRAWN][speed] = pace_of(studio.draw(changed, index, blocks), studio.block_frames)
        return Sample(tags=scene.labels(), values=values)

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        """See `Measure`."""
        return [
            Figure(
                name="fast over slow",
                value=mean(quotients(samples, GENERATED)),
                interval=bootstrap(quotients(samples, GENERATED), mean),
                samples=len(samples),
                drawn=mean(quotients(samples, DRAWN)),
                goal=Goal(limit=FAST_OVER_SLOW),
            )
        ]


def pace_of(frames: Pictures, block_frames: int) -> float:
    """Return how far the ground moves in a block, in units: the median over the take [T, H, W, 3] uint8."""
    return float(np.median(np.abs(block_flow(frames, block_frames)[SETTLED_BLOCKS:, 0])))


def quotients(samples: Sequence[Sample], source: str) -> list[float]:
    """Return fast over slow of each scene.

    A world that stands still when it should be slow is not fast by that: slow counts as at least half the drawn pace.
    """
    return [
        s.values[source]["fast"] / max(s.values[source]["slow"], LEAST_SLOW * s.values[DRAWN]["slow"]) for s in samples
    ]
