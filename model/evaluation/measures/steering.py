"""Whether the picture moves the way the stick says.

Each take is steered by the same track: back, stand, run, climb and dive, with rests between. While speed is held, each
block is a trial: the ground moves against its own pace, not at all, or clearly faster. When lift changes, the camera
rises or sinks with it, so the ground moves down or up: each change is a trial.
"""

from collections.abc import Sequence

import numpy as np

from longtake.model.diorama.actions import AXES, Actions
from longtake.model.diorama.captions import canonical
from longtake.model.evaluation.figures import DRAWN, GENERATED, Figure, Goal, Sample, mean, share
from longtake.model.evaluation.flow import Numbers, block_flow
from longtake.model.evaluation.measures.base import Effort
from longtake.model.evaluation.measures.flying import flying_scene
from longtake.model.evaluation.studio import Studio

TRACK: tuple[tuple[int, float, float], ...] = (
    (8, 0.0, 0.0),
    (8, -1.0, 0.0),
    (4, 0.0, 0.0),
    (8, -0.5, 0.0),
    (4, 0.0, 0.0),
    (8, 1.0, 0.0),
    (4, 0.0, 0.0),
    (5, 0.0, 1.0),
    (5, 0.0, 0.0),
    (5, 0.0, -1.0),
    (5, 0.0, 0.0),
)
"""blocks, speed and lift"""
SETTLED_BLOCKS = 2
"""blocks after a change that are no trial for speed"""
LIFT_BLOCKS = 3
"""blocks in which a change of lift shows"""
STANDS, BACKS, RUNS = 0.35, -0.25, 1.3
"""times the world's own pace: standing is less than this, back is below this, running above this"""
LEAST_PACE = 0.5
"""units a block that the world has to move by itself"""
LEAST_RISE = 1.0
"""units that the ground has to move down or up with lift"""
RIGHT = 0.95
ACTIONS = ("back", "stand", "run", "lift")


def track() -> Actions:
    """Return the track, one row a block."""
    rows = [(speed, lift) for blocks, speed, lift in TRACK for _ in range(blocks)]
    assert AXES == ("speed", "lift")
    return np.array(rows, np.float32)


class Steering:
    """See the module."""

    name = "actions"
    needs = ("actions", "drawing")

    def takes(self, effort: Effort) -> int:
        """See `Measure`."""
        return effort.steered

    def shoot(self, studio: Studio, index: int, effort: Effort) -> Sample:
        """See `Measure`."""
        scene, actions = flying_scene(index), track()
        prompt, blocks = canonical(scene), len(actions)
        made = studio.film(prompt, index, blocks, studio.steered(prompt, actions))
        drawn = studio.draw(scene, index, blocks, actions=actions)
        flows = {GENERATED: block_flow(made, studio.block_frames), DRAWN: block_flow(drawn, studio.block_frames)}
        return Sample(
            tags=scene.labels(),
            values={source: rates(trials(flow)) for source, flow in flows.items()},
            series={f"{source} {axis}": flow[:, column].tolist()
                    for source, flow in flows.items() for column, axis in enumerate("xy")},
        )  # fmt: skip

    def figures(self, samples: Sequence[Sample]) -> list[Figure]:
        """See `Measure`: each action by itself, then all trials."""
        hits: dict[str, dict[str, list[float]]] = {source: {} for source in (GENERATED, DRAWN)}
        for sample in samples:
            for source, kept in hits.items():
                for name, answers in trials(flow_of(sample, source)).items():
                    kept.setdefault(name, []).extend(float(answer) for answer in answers)
        every = {source: [hit for some in kept.values() for hit in some] for source, kept in hits.items()}
        rows = [share(f"action {name}", hits[GENERATED][name], drawn=mean(hits[DRAWN][name])) for name in ACTIONS]
        return [*rows, share("actions", every[GENERATED], drawn=mean(every[DRAWN]), goal=Goal(limit=RIGHT))]


def flow_of(sample: Sample, source: str) -> Numbers:
    """Return the flow that a sample keeps as series, [blocks - 1, 2]."""
    return np.array([sample.series[f"{source} x"], sample.series[f"{source} y"]]).T


def trials(flow: Numbers) -> dict[str, list[bool]]:
    """Judge the flow [blocks - 1, 2] of a take that was steered by `TRACK`; row k leads to block k + 1."""
    found: dict[str, list[bool]] = {name: [] for name in ACTIONS}
    own = float(np.median(flow[SETTLED_BLOCKS : TRACK[0][0] - 1, 0]))
    first, before = 0, 0.0
    for blocks, speed, lift in TRACK:
        held = flow[first + SETTLED_BLOCKS - 1 : first + blocks - 1, 0]
        if speed:
            name = {-1.0: "back", -0.5: "stand", 1.0: "run"}[speed]
            found[name] += [_obeys(name, float(moved), own) for moved in held]
        if lift != before:
            moved = float(flow[first - 1 : first - 1 + LIFT_BLOCKS, 1].sum())
            found["lift"].append(moved * np.sign(lift - before) >= LEAST_RISE)
        first, before = first + blocks, lift
    return found


def rates(answers: dict[str, list[bool]]) -> dict[str, float]:
    """Return the share of right answers by action."""
    return {name: mean([float(answer) for answer in some]) for name, some in answers.items()}


def _obeys(name: str, moved: float, own: float) -> bool:
    """Whether the ground moved as asked; a world that goes forward moves its ground to the left."""
    if own > -LEAST_PACE:
        return False
    factor = moved / own
    return {"back": factor <= BACKS, "stand": abs(factor) <= STANDS, "run": factor >= RUNS}[name]
