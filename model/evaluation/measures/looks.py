"""Detail, motion and evenness of generated takes, against the same scenes as they are drawn."""

from collections.abc import Sequence
from dataclasses import replace

import torch

from longtake.model.diorama.captions import canonical
from longtake.model.diorama.labels import LABELS, SCORED
from longtake.model.diorama.scene import balanced_scene
from longtake.model.evaluation.figures import (
    DRAWN,
    GENERATED,
    THROUGH,
    Figure,
    Goal,
    Sample,
    bootstrap,
    mean,
    ratio,
    source_values,
)
from longtake.model.evaluation.measures.base import Effort
from longtake.model.evaluation.motion import measure
from longtake.model.evaluation.studio import Pictures, Studio

SECONDS = 6.0
SCENES_SEED = 9
VOTE_FRAMES = 8
DETAIL, MOTION, WORST, EVENNESS = 0.90, 0.80, 0.75, 1.4
"""the goals: averages of scenes, the worst scene, and boundary over inside"""


class Looks:
    """See the module."""

    name = "looks"
    needs = ("drawing",)

    def takes(self, effort: Effort) -> int:
        """See `Measure`."""
        return effort.scenes

    def shoot(self, studio: Studio, index: int, effort: Effort) -> Sample:
        """See `Measure`."""
        scene = balanced_scene(SCENES_SEED, index)
        drawn = studio.draw(scene, index, studio.blocks_in(SECONDS))
        made = self.generated(studio, index)
        values = made.values | {DRAWN: looks_of(drawn, studio.block_frames)}
        if studio.through is not None:
            values[THROUGH] = looks_of(studio.through(drawn), studio.block_frames)
        return replace(made, values=values)

    def generated(self, studio: Studio, index: int) -> Sample:
        """Film one take; with a probe, the values have 1 for each kind of label that is right at the end."""
        scene = balanced_scene(SCENES_SEED, index)
        frames = studio.film(canonical(scene), index, studio.blocks_in(SECONDS))
        values = looks_of(frames, studio.block_frames)
        if studio.read is not None:
            read, labels = studio.read(frames[-VOTE_FRAMES:]), scene.labels()
            values |= {f"read {kind}": float(read[kind] == labels[kind]) for kind in SCORED if kind in read}
        return Sample(tags=scene.labels(), values={GENERATED: values})

    def drawn(self, studio: Studio, index: int) -> Sample:
        """Draw the same take."""
        scene = balanced_scene(SCENES_SEED, index)
        frames = studio.draw(scene, index, studio.blocks_in(SECONDS))
        return Sample(tags=scene.labels(), values={DRAWN: looks_of(frames, studio.block_frames)})

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        """See `Measure`: of all scenes, then by place and by weather."""
        found = [
            *looks_figures(samples),
            *(_worst(samples, name) for name in ("detail", "motion")),
        ]
        for kind in ("place", "weather"):
            for label in LABELS[kind]:
                some = [s for s in samples if s.tags[kind] == label]
                if some:
                    found += [replace(f, part=f"{kind} {label}", goal=None) for f in looks_figures(some)]
        return found


def looks_of(frames: Pictures, block_frames: int) -> dict[str, float]:
    """Measure a take [T, H, W, 3] uint8: `detail`, `motion` (mean change from frame to frame), `inside`, `boundary`."""
    clip = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
    found = measure(clip, block_frames)
    motion = ((block_frames - 1) * found.inside + found.boundary) / block_frames
    return {"detail": found.detail, "motion": motion, "inside": found.inside, "boundary": found.boundary}


def looks_figures(samples: Sequence[Sample]) -> list[Figure]:
    """Return detail and motion over the drawn ones, the mean of the scenes' quotients, and evenness."""
    goals = {"detail": Goal(limit=DETAIL), "motion": Goal(limit=MOTION)}
    found = []
    for name, goal in goals.items():
        quotients = _quotients(samples, GENERATED, name)
        through = _quotients(samples, THROUGH, name)
        found.append(
            Figure(
                name=f"{name} / drawn",
                value=mean(quotients),
                interval=bootstrap(quotients, mean),
                samples=len(quotients),
                drawn=1.0,
                through=mean(through) if through else None,
                goal=goal,
            )
        )
    evenness = Figure(
        name="evenness (boundary / inside)",
        value=_evenness(samples, GENERATED),
        interval=bootstrap(samples, lambda some: _evenness(some, GENERATED)),
        samples=len(samples),
        drawn=_evenness(samples, DRAWN),
        through=_evenness(samples, THROUGH) if source_values(samples, THROUGH, "inside") else None,
        goal=Goal(limit=EVENNESS, above=False),
    )
    return [*found, evenness]


def _worst(samples: Sequence[Sample], name: str) -> Figure:
    quotients = _quotients(samples, GENERATED, name)
    through = _quotients(samples, THROUGH, name)
    worst = min(range(len(quotients)), key=quotients.__getitem__)
    tags = samples[worst].tags
    return Figure(
        name=f"{name} / drawn, worst scene ({tags['place']}, {tags['weather']})",
        value=quotients[worst],
        samples=len(quotients),
        through=min(through) if through else None,
        goal=Goal(limit=WORST),
    )


def _quotients(samples: Sequence[Sample], source: str, name: str) -> list[float]:
    return [s.values[source][name] / max(s.values[DRAWN][name], 1e-12) for s in samples if source in s.values]


def _evenness(samples: Sequence[Sample], source: str) -> float:
    return ratio(source_values(samples, source, "boundary"), source_values(samples, source, "inside"))
