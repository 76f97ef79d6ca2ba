"""What diorama takes texts for."""

import numpy as np
import pytest

from longtake.model.diorama.captions import caption, held_out, misspell
from longtake.model.diorama.labels import LABELS, SCORED
from longtake.model.diorama.reading import KNOWS, MOST_UNKNOWN, essence, split, understand
from longtake.model.diorama.scene import Scene

FOX = "a white fox in a snowy forest at night"


@pytest.mark.parametrize(
    ("text", "shown_as", "by_chance", "unknown"),
    [
        ("purple train in the city by day", "purple train, city, by day", ("weather",), ()),
        (f"{FOX}, the same fox at dawn", "white fox, forest, at dawn, snow", (), ()),
        (f"{FOX}, it rains", "white fox, forest, at night, rain", (), ()),
        (f"{FOX}, make it blue", "blue fox, forest, at night, snow", (), ()),
        (f"{FOX}, now a blue train by the sea", "blue train, sea, at night, snow", (), ()),
        ("a zeppelin", "balloon", ("place", "time", "weather", "colour"), ()),
        ("a crimsn baloon over the ocaen", "red balloon, sea", ("time", "weather"), ()),
        ("foxes in the woods", "fox, forest", ("time", "weather", "colour"), ()),
        ("a red train through purple mountains", "red train, mountains", ("time", "weather"), ()),
        ("green hills", "meadow", ("time", "weather", "actor", "colour"), ()),
        ("a black bird flying fast", "fast black bird", ("place", "time", "weather"), ()),
        ("a dragon and a castle", "", SCORED, ("dragon", "castle")),
        ("狐狸 un zorp", "", SCORED, ("狐狸", "un", "zorp")),
        ("", "", SCORED, ()),
        ("\u2764 42 !", "", SCORED, ()),
    ],
)
def test_what_is_shown_what_is_left_to_chance_and_what_is_not_known(text, shown_as, by_chance, unknown):
    read = understand(text)
    assert (read.shown_as, read.by_chance, read.unknown) == (shown_as, by_chance, unknown)


def test_the_captions_of_the_training_are_read_as_they_are_meant():
    rng = np.random.default_rng(3)
    right = 0
    for _ in range(300):
        scene = Scene(**{kind: str(rng.choice(labels)) for kind, labels in LABELS.items()})
        read = understand(caption(scene, rng))
        assert not read.unknown
        right += all(read.labels.get(kind) == getattr(scene, kind) for kind in SCORED)
    assert right >= 297


def test_slips_of_the_fingers_and_words_no_caption_uses():
    rng = np.random.default_rng(4)
    right = 0
    for _ in range(200):
        scene = Scene(**{kind: str(rng.choice(labels)) for kind, labels in LABELS.items()})
        labels = understand(misspell(held_out(scene, rng), rng)).labels
        right += sum(labels.get(kind) == getattr(scene, kind) for kind in SCORED)
    assert right >= 0.95 * 200 * len(SCORED)


def test_a_hostile_text_is_read_quickly_and_its_list_is_short():
    read = understand(" ".join(f"qz{'x' * 50}{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(200)))
    assert len(read.unknown) == MOST_UNKNOWN
    assert all(len(word) <= 40 for word in read.unknown)


def test_what_the_world_knows_is_every_label():
    assert {kind: tuple(labels) for kind, labels in LABELS.items()} == KNOWS


LONG = (
    "a little red fox with bright eyes and a very long bushy tail runs happily and quickly through the tall green "
    "grass of a wide sunny meadow early in the day while the sky above is clear and calm and everything is quiet"
)


def test_a_text_as_long_as_a_caption_is_read_as_it_is() -> None:
    assert essence("A red fox, at Dawn", 24) == "A red fox, at Dawn"
    assert essence(" ".join(["fox"] * 24), 24) == " ".join(["fox"] * 24)


@pytest.mark.parametrize(
    "clauses", ["", ", over the open ocean", ", at night", ", in heavy rain, at night, a blue boat"]
)
def test_of_a_longer_text_the_newest_of_each_kind_remains(clauses: str) -> None:
    text = essence(LONG + clauses, 24)
    assert len(split(text)) <= 24
    assert understand(text).labels == understand(LONG + clauses).labels


def test_a_long_text_that_names_nothing_keeps_its_end() -> None:
    assert split(essence("zzyzx qwrtp " * 30, 24)) == ["zzyzx", "qwrtp"] * 12
