"""Prompts that change a part of what was said before."""

import pytest

from longtake.protocol.errors import Refused
from longtake.protocol.messages import EventDef, Script, Slot
from longtake.runtime.world.amending import OPENINGS, REFERENCES, amended, amends
from longtake.runtime.world.prompt_state import PromptState
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
