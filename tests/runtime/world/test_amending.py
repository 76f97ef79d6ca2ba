"""Prompts that change a part of what was said before."""

import time

import pytest

from longtake.protocol.errors import Refused
from longtake.protocol.fields import MAX_PROMPT
from longtake.protocol.messages import EventDef, Script, Slot
from longtake.runtime.world.amending import OPENINGS, REFERENCES, amended, amends
from longtake.runtime.world.prompt_state import PromptState
from longtake.runtime.world.understanding import reader_of
from tests.protocol.test_specification import SPECIFICATION

FOX = "a white fox in a snowy forest at night"
SCRIPT = Script(
    template="a red balloon{weather}",
    slots=[Slot(name="weather", default="", values={"": "", "storm": ", in a storm"})],
    events={"storm": EventDef(set={"weather": "storm"})},
)


@pytest.mark.parametrize(
    "text",
    [
        "the same fox at dawn",
        "The same, but blue",
        "same fox, at dawn",
        "It rains",
        "it's night",
        "it\N{RIGHT SINGLE QUOTATION MARK}s night now",
        "its colour is blue",
        "now a blue train",
        "NOW by day",
        "... and then a storm",
        '"the same fox"',
        "but in the city",
        "make it blue",
        "make  it blue",
        "at dawn, the same fox",
        "a train in the same place",
        "they fly over the sea",
        "everything as before, at night",
    ],
)
def test_prompts_that_amend(text):
    assert amends(text)


@pytest.mark.parametrize(
    "text",
    [
        "a fox at dawn",
        "the sea at night",
        "Italy at night",
        "items on a table",
        "nowhere land",
        "the samephore",
        "a snowy forest, now at night",
        "fox",
        "keeper of the light",
        "Andes in the snow",
        "butter-yellow train",
        "!",
        "",
    ],
)
def test_prompts_that_replace(text):
    assert not amends(text)


def test_what_the_two_say_together():
    assert amended(FOX, "the same fox at dawn") == f"{FOX}, the same fox at dawn"
    assert amended(FOX + ". ", "It rains.") == f"{FOX}, It rains."
    assert amended("", "it rains") == "it rains"
    assert amended(f"{FOX}, it rains", "it rains") == f"{FOX}, it rains"


def test_the_specification_has_every_opening_and_reference():
    assert f"> {', '.join(OPENINGS)}\n" in SPECIFICATION
    assert all(f"`{phrase}`" in SPECIFICATION for phrase in REFERENCES)


def test_an_amended_prompt_keeps_the_template_and_the_events():
    state = PromptState.start(SCRIPT, None).with_event("storm").with_prompt("now at night", amend=True)
    assert state.prompt() == "a red balloon, in a storm, now at night"
    assert state.with_event("storm").prompt() == "a red balloon, in a storm, now at night, in a storm"
    assert state.with_prompt("a fox").prompt() == "a fox"


def test_a_prompt_that_grew_too_long_says_what_to_do():
    state = PromptState.start(Script(), "x" * 1990).with_prompt("now at night", amend=True)
    with pytest.raises(Refused, match="type the whole scene again"):
        state.check()


def labels_of(text: str) -> dict[str, str]:
    """What diorama takes a text for."""
    understood = reader_of("diorama")(text)
    assert understood is not None
    return understood.labels


@pytest.mark.parametrize(
    ("before", "text", "together"),
    [
        (FOX, "the same fox at dawn", f"{FOX}, the same fox at dawn"),
        (f"{FOX}, the same fox at dawn", "it is noon", f"{FOX}, it is noon"),
        (f"{FOX}, it rains", "now it snows", f"{FOX}, now it snows"),
        (f"{FOX}, it rains", "now at dawn", f"{FOX}, it rains, now at dawn"),
        (f"{FOX}, now a blue train by the sea", "make it green", f"{FOX}, now a blue train by the sea, make it green"),
        (f"{FOX}, now a blue train by the sea, by day, in fog", "again " + FOX, "again " + FOX),
        (
            "a strange dream; a red balloon. It rains",
            "it's dry and sunny",
            "a strange dream; a red balloon, it's dry and sunny",
        ),
        ("a balloon, with a dragon", "and a fox", "with a dragon, and a fox"),
        ("a fox, a fox, a fox, a fox at night", "then by day", "a fox, then by day"),
    ],
)
def test_clauses_of_which_nothing_is_left_are_dropped(before, text, together):
    assert amended(before, text, labels_of) == together
    assert labels_of(together) == labels_of(f"{before}, {text}")
    assert amended(before, text) == f"{before}, {text}", "a model that cannot say keeps everything"


CHANGES = [
    *("the same fox at dawn", "now it rains", "it is noon", "now it snows", "the same by the sea", "make it blue"),
    *("then at dusk", "now in thick fog", "but in the desert", "it's night", "make it purple", "now under a clear sky"),
]


@pytest.mark.parametrize("count", range(3, len(CHANGES) + 1))
def test_a_chain_of_amendments_keeps_its_subject_and_does_not_grow(count):
    state = PromptState.start(Script(), FOX, labels_of)
    everything = FOX
    for change in CHANGES[:count]:
        state = state.with_prompt(change, amend=True)
        everything += f", {change}"
        assert labels_of(state.prompt()) == labels_of(everything)
        assert labels_of(state.prompt())["actor"] == "fox"
    assert state.prompt().endswith(CHANGES[count - 1])
    assert len(state.prompt().split()) <= 24, "more words than the text encoder was trained on"


def test_changes_without_end():
    state = PromptState.start(SCRIPT, None, labels_of)
    for number in range(300):
        state = state.with_event("storm") if number % 7 == 0 else state.with_prompt(CHANGES[number % 12], amend=True)
        state.check()
    assert "a red balloon" in state.prompt() or "fox" in state.prompt()
    assert len(state.prompt()) < 200


def test_a_hostile_text_is_amended_quickly():
    before = "fox, " * (MAX_PROMPT // 5)
    begun = time.perf_counter()
    assert amended(before, "now a train", labels_of) == "now a train"
    assert time.perf_counter() - begun < 2
