"""Whether words that no training caption uses are understood: the plain scene, told in held-out words."""

from collections.abc import Sequence

import numpy as np

from longtake.model.diorama.captions import held_out
from longtake.model.diorama.labels import SCORED
from longtake.model.diorama.scene import balanced_scene
from longtake.model.evaluation.figures import GENERATED, Figure, Goal, Sample, share, source_values
from longtake.model.evaluation.measures.base import Effort
from longtake.model.evaluation.studio import Studio

SECONDS = 5.0
VOTE_FRAMES = 8
SCENES_SEED = 57
UNDERSTOOD = 0.90


class Wording:
    """See the module."""

    name = "wording"
    needs = ("reading",)

    def takes(self, effort: Effort) -> int:
        """See `Measure`."""
        return effort.wordings

    def shoot(self, studio: Studio, index: int, effort: Effort) -> Sample:
        """See `Measure`."""
        assert studio.read is not None
        scene = balanced_scene(SCENES_SEED, index)
        prompt = held_out(scene, np.random.default_rng([SCENES_SEED, index]))
        frames = studio.film(prompt, index, studio.blocks_in(SECONDS))
        read, labels = studio.read(frames[-VOTE_FRAMES:]), scene.labels()
        return Sample(
            tags=labels,
            values={GENERATED: {kind: float(read[kind] == labels[kind]) for kind in SCORED if kind in read}},
            notes=[
                {"stage": "wording", "kind": kind, "read": read[kind], "prompt": prompt}
                for kind in SCORED
                if kind in read and read[kind] != labels[kind]
            ],
        )

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        """See `Measure`: each kind, then all."""
        hits = {kind: some for kind in SCORED if (some := source_values(samples, GENERATED, kind))}
        rows = [share(f"held-out words: {kind}", some) for kind, some in hits.items()]
        every = [hit for some in hits.values() for hit in some]
        return [*rows, share("held-out words", every, goal=Goal(limit=UNDERSTOOD))]
