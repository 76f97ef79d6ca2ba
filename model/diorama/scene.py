"""What a clip shows: a scene, and the switch to another one part of the way through."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

import numpy as np

from longtake.model.diorama.labels import LABELS

_CHANGE_COUNTS = (1, 2, 3)
_CHANGE_COUNT_ODDS = (0.45, 0.35, 0.20)
_KIND_ODDS = {"place": 0.24, "time": 0.22, "weather": 0.22, "actor": 0.16, "colour": 0.11, "speed": 0.05}
_RECOLOUR_ODDS = 0.5


@dataclass(frozen=True, kw_only=True)
class Scene:
    """One value of every kind of label.

    Raises:
        ValueError: a value is outside its closed set.
    """

    place: str
    time: str
    weather: str
    actor: str
    colour: str
    speed: str = "normal"

    def __post_init__(self) -> None:
        for kind, value in self.labels().items():
            if value not in LABELS[kind]:
                raise ValueError(f"{kind} {value!r} is not one of {', '.join(LABELS[kind])}")

    def labels(self) -> dict[str, str]:
        """The scene as a dictionary, kind to label."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def changed(self, **labels: str) -> "Scene":
        """The same scene with some labels replaced."""
        return replace(self, **labels)

    @classmethod
    def from_labels(cls, labels: Mapping[str, str]) -> "Scene":
        """The inverse of `labels`."""
        return cls(**labels)


@dataclass(frozen=True, kw_only=True)
class Switch:
    """The moment a clip turns to another scene.

    Raises:
        ValueError: the frame is negative.
    """

    frame: int
    """Index of the first frame that starts to move towards the new scene."""
    scene: Scene

    def __post_init__(self) -> None:
        if self.frame < 0:
            raise ValueError(f"switch frame must be 0 or more, got {self.frame}")


def random_scene(rng: np.random.Generator) -> Scene:
    """A scene with every label drawn evenly."""
    return Scene(**{kind: str(rng.choice(values)) for kind, values in LABELS.items()})


def balanced_scene(seed: int, index: int) -> Scene:
    """The scene of clip `index`: each run of n clips holds each of a kind's n labels once."""
    chosen = {}
    for number, (kind, values) in enumerate(LABELS.items()):
        run, position = divmod(index, len(values))
        order = np.random.default_rng([seed, 1, number, run]).permutation(len(values))
        chosen[kind] = values[order[position]]
    return Scene(**chosen)


def random_change(scene: Scene, rng: np.random.Generator) -> Scene:
    """Another scene: one to three kinds of label changed; a new actor often brings a new colour."""
    count = int(rng.choice(_CHANGE_COUNTS, p=_CHANGE_COUNT_ODDS))
    kinds = [str(kind) for kind in rng.choice(list(_KIND_ODDS), size=count, replace=False, p=list(_KIND_ODDS.values()))]
    if "actor" in kinds and "colour" not in kinds and rng.random() < _RECOLOUR_ODDS:
        kinds.append("colour")
    return scene.changed(**{kind: _other(kind, getattr(scene, kind), rng) for kind in kinds})


def _other(kind: str, value: str, rng: np.random.Generator) -> str:
    return str(rng.choice([label for label in LABELS[kind] if label != value]))
