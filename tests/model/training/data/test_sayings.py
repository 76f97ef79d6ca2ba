"""Texts that the text encoder learns from say what they are said to say."""

import random

import numpy as np
import pytest

from longtake.model.diorama import words
from longtake.model.diorama.captions import SYNONYMS
from longtake.model.diorama.labels import LABELS, SCORED
from longtake.model.diorama.loose_words import LOOSE
from longtake.model.training.data.sayings import KINDS, example, loose_example, plainly, spoken_speed
from longtake.model.training.data.word_vectors import slip


def test_a_loose_text_has_a_phrase_for_each_label_it_says() -> None:
    rng = np.random.default_rng(4)
    for _ in range(200):
        text, said = loose_example(rng)
        assert said.pop("speed") == "normal"
        assert said
        assert "actor" in said or "colour" not in said
        for kind, label in said.items():
            assert any(phrase in text for phrase in [*LOOSE[kind][label], *SYNONYMS[kind][label]]), (text, kind, label)


def test_examples_say_every_label_and_leave_every_kind_unsaid_at_times() -> None:
    rng = np.random.default_rng(5)
    rows = [example(rng)[1] for _ in range(600)]
    for kind in KINDS:
        assert {row[kind] for row in rows if kind in row} == set(LABELS[kind]), kind
    for kind in SCORED:
        assert any(kind not in row for row in rows), kind


@pytest.mark.parametrize(
    ("text", "speed"), [("a red bird", "normal"), (f"a red bird, {words.SPEEDS['fast'][0]}", "fast"), ("", "normal")]
)
def test_a_speed_that_is_not_spoken_of_is_normal(text: str, speed: str) -> None:
    assert spoken_speed(text) == speed


def test_plain_words_are_the_first_for_each_label() -> None:
    said = {"actor": "fox", "colour": "red", "place": "city", "time": "night", "weather": "fog", "speed": "fast"}
    plain = plainly(said)
    tables = (words.ACTORS, words.COLOURS, words.PLACES, words.TIME_CLAUSES, words.WEATHER_CLAUSES, words.SPEEDS)
    for kind, table in zip(("actor", "colour", "place", "time", "weather", "speed"), tables, strict=True):
        assert table[said[kind]][0] in plain
    assert plainly({"speed": "normal"}) == ""


def test_a_slip_changes_a_long_word_by_a_letter_and_spares_a_short_one() -> None:
    rng = random.Random(1)
    for _ in range(100):
        assert abs(len(slip("mountains", rng)) - 9) <= 1
        assert slip("fox", rng) == "fox"
    assert any(slip("mountains", rng) != "mountains" for _ in range(5))
