"""Texts that say labels, drawn by chance, with what they say: what the text encoder learns context from."""

import numpy as np

from longtake.model.diorama import words
from longtake.model.diorama.captions import SYNONYMS, caption_and_kinds, misspell
from longtake.model.diorama.labels import LABELS, SCORED
from longtake.model.diorama.loose_words import LOOSE
from longtake.model.diorama.scene import Scene, random_scene

KINDS = tuple(LABELS)

_CLAUSES = {
    "place": (
        "over the {}",
        "in the {}",
        "across the {}",
        "through the {}",
        "now in the {}",
        "the {}",
        "go to the {}",
        "arriving at the {}",
    ),
    "actor": ("now a {}", "a {}", "the {} instead", "it becomes a {}", "turns into a {}"),
    "colour": ("now {}", "painted {}", "in {}", "turns {}", "it turns {}", "all {}"),
    "speed": ("{}", "now {}", "moving {}"),
}
_BARE = {
    "time": (words.TIME_CLAUSES, words.TIME_NAMES),
    "weather": (words.WEATHER_CLAUSES, words.WEATHER_NAMES, words.WEATHER_STATEMENTS),
}
_CLEARING = (
    "no rain",
    "no more rain",
    "the rain stops",
    "the rain has stopped",
    "the snow stops",
    "no snow",
    "without fog",
    "the fog lifts",
    "the sky clears",
    "the clouds clear",
)
_PLACED = ("in the", "over", "at the", "across the", "near a", "through", "in", "by the")
_TINTS = {
    "meadow": ("green", "golden", "yellow"),
    "forest": ("green", "dark green", "black"),
    "desert": ("yellow", "golden", "orange", "red"),
    "mountains": ("blue", "white", "purple"),
    "city": ("white", "red"),
    "ocean": ("blue", "green", "dark blue"),
}


def example(rng: np.random.Generator) -> tuple[str, dict[str, str]]:
    """A caption with what it says; kinds it leaves unsaid are missing."""
    if rng.random() < 0.4:
        return loose_example(rng)
    scene = random_scene(rng)
    drop = 0.0 if rng.random() < 0.5 else float(rng.choice((0.15, 0.4, 0.7)))
    text, kinds = caption_and_kinds(scene, rng, drop)
    if "actor" not in kinds:
        kinds.discard("colour")
    said = {kind: label for kind, label in scene.labels().items() if kind in kinds and kind != "speed"}
    said["speed"] = spoken_speed(text)
    if rng.random() < 0.3 and "colour" in said:
        text = _tinted(text, scene, rng)
    for _ in range(int(rng.choice((0, 0, 1, 1, 2, 3)))):
        text, said = _corrected(text, said, rng)
    while rng.random() < 0.25:
        text = misspell(text, rng)
    return text, said


def loose_example(rng: np.random.Generator) -> tuple[str, dict[str, str]]:
    """A short text in words from outside the grammar, each kind said with chance a half."""
    scene = random_scene(rng).labels()
    said = {kind: scene[kind] for kind in SCORED if rng.random() < 0.55}
    if "actor" not in said:
        said.pop("colour", None)
    if not said:
        said["actor"] = scene["actor"]

    def pick(kind: str) -> str:
        table = LOOSE[kind] if rng.random() < 0.7 else SYNONYMS[kind]
        return str(rng.choice(table[said[kind]]))

    parts = []
    if "actor" in said:
        noun = " ".join(pick(kind) for kind in ("colour", "actor") if kind in said)
        parts.append(f"{rng.choice(('a', 'the', '', 'one little', 'an old', 'a big'))} {noun}".strip())
    if "place" in said:
        parts.append(f"{rng.choice(_PLACED)} {pick('place')}")
    for kind in ("time", "weather"):
        if kind in said:
            lead = str(rng.choice(("", "in", "at", "during", "with", ",", "there is", "it is")))
            parts.append(f"{lead} {pick(kind)}".strip())
    if rng.random() < 0.3:
        parts = [parts[i] for i in rng.permutation(len(parts))]
    return str(rng.choice((" ", ", "))).join(parts), {**said, "speed": "normal"}


def spoken_speed(text: str) -> str:
    """The speed a caption speaks of; unsaid is normal."""
    for label in ("slow", "fast"):
        if any(phrase in text.lower() for phrase in words.SPEEDS[label]):
            return label
    return "normal"


def _tinted(text: str, scene: Scene, rng: np.random.Generator) -> str:
    """The same with a coloured place ("green hills"), which says nothing of the actor's colour."""
    for noun in sorted(words.PLACES[scene.place], key=len, reverse=True):
        if f" {noun}" in text and not text.startswith(noun):
            return text.replace(f" {noun}", f" {rng.choice(_TINTS[scene.place])} {noun}", 1)
    return text


def _corrected(text: str, said: dict[str, str], rng: np.random.Generator) -> tuple[str, dict[str, str]]:
    """A later clause that changes one kind, as events are rendered behind a typed text."""
    text = text.rstrip(".")
    kind = str(rng.choice(KINDS, p=(0.2, 0.22, 0.22, 0.14, 0.12, 0.1)))
    label = str(rng.choice(LABELS[kind]))
    if kind == "weather" and rng.random() < 0.1:
        return f"{text}, {rng.choice(_CLEARING)}", {**said, "weather": "clear"}
    if kind in _BARE:
        tables = _BARE[kind]
        clause = str(rng.choice(tables[int(rng.integers(len(tables)))][label]))
    else:
        table = {"place": words.PLACES, "actor": words.ACTORS, "colour": words.COLOURS, "speed": words.SPEEDS}[kind]
        clause = str(rng.choice(_CLAUSES[kind])).format(rng.choice(table[label]))
    changed = {**said, kind: label}
    if kind == "actor" and rng.random() < 0.6:
        colour = str(rng.choice(LABELS["colour"]))
        clause = str(rng.choice(("now a {} {}", "a {} {}"))).format(
            rng.choice(words.COLOURS[colour]), rng.choice(words.ACTORS[label])
        )
        changed["colour"] = colour
    return f"{text}, {clause}", changed


def plainly(said: dict[str, str]) -> str:
    """Return a caption that says these labels in the plainest words."""

    def clause(kind: str, tables: words.Words) -> list[str]:
        return [tables[said[kind]][0]] if kind in said else []

    what = " ".join([*clause("colour", words.COLOURS), *clause("actor", words.ACTORS)])
    parts = [f"a {what}"] if what else []
    parts += [f"in the {place}" for place in clause("place", words.PLACES)]
    parts += clause("time", words.TIME_CLAUSES) + clause("weather", words.WEATHER_CLAUSES)
    return " ".join(parts + (clause("speed", words.SPEEDS) if said["speed"] != "normal" else []))
