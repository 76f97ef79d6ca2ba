"""Whether the picture shows what the prompt says: `longtake.model.evaluation.adherence`, a few takes at a time."""

from collections.abc import Sequence

from longtake.model.evaluation.adherence import EvalPrompt, Read, Score, Tally, jobs_of, score_jobs
from longtake.model.evaluation.figures import GENERATED, Figure, Goal, Sample
from longtake.model.evaluation.measures.base import Effort
from longtake.model.evaluation.studio import Studio
from longtake.model.loaded import LoadedModel

AT_5_S, AFTER_SWITCH, AT_15_S = 0.97, 0.95, 0.97
GOALS = {"5s": AT_5_S, "switch": AFTER_SWITCH, "15s": AT_15_S}


class Labels:
    """See the module.

    Args:
        model: films many takes together.
        read: reads labels from frames.
        prompts, seeds: each prompt is filmed with each seed.
        late: go on to 15 s and switch, instead of ending at 5 s.
        batch: takes filmed together.
    """

    name = "labels"
    needs = ("reading",)

    def __init__(
        self,
        model: LoadedModel,
        read: Read,
        prompts: Sequence[EvalPrompt],
        seeds: Sequence[int],
        *,
        late: bool = True,
        batch: int = 8,
    ) -> None:
        jobs = jobs_of(prompts, seeds)
        self.model, self.read, self.late = model, read, late
        self.parts = [jobs[first : first + batch] for first in range(0, len(jobs), batch)]

    def takes(self, effort: Effort) -> int:
        """See `Measure`: a batch counts as one."""
        return len(self.parts)

    def shoot(self, studio: Studio, index: int, effort: Effort) -> Sample:
        """See `Measure`."""
        tally = Tally()
        score_jobs(tally, self.model, self.parts[index], read=self.read, late=self.late)
        counts = {name: (float(s.hits), float(s.trials)) for name, s in tally.scores().items()}
        return Sample(
            values={
                GENERATED: {name: hits for name, (hits, _) in counts.items()},
                "trials": {name: trials for name, (_, trials) in counts.items()},
            },
            notes=tally.misses,
        )

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        """See `Measure`."""
        return [
            Figure(
                name=f"label {name}",
                value=score.rate,
                interval=score.interval,
                samples=score.trials,
                goal=Goal(limit=GOALS[name.split(".")[0]]),
            )
            for name, score in label_scores(samples).items()
        ]


def label_scores(samples: Sequence[Sample]) -> dict[str, Score]:
    """Return the scores by stage and kind, such as `5s.place`."""
    names = dict.fromkeys(name for sample in samples for name in sample.values["trials"])
    return {
        name: Score(
            hits=round(sum(s.values[GENERATED].get(name, 0.0) for s in samples)),
            trials=round(sum(s.values["trials"].get(name, 0.0) for s in samples)),
        )
        for name in names
    }
