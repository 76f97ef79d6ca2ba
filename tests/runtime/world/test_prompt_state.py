"""Base text plus slots, rendered by one rule."""

import time

import pytest

from longtake.protocol.errors import Refused
from longtake.protocol.messages import EventDef, Script, Slot
from longtake.runtime.world.prompt_state import PromptState

SCRIPT = Script(
    name="story",
    template="a {colour} balloon over a {place}{time}, {weather}",
    slots=[
        Slot(name="colour", default="red"),
        Slot(name="place", default="meadow", values={"sea": "wide blue sea"}),
        Slot(name="time", values={"night": " at night"}),
        Slot(name="weather", values={"storm": "in heavy rain", "clear": ""}),
    ],
    events={
        "night": EventDef(set={"time": "night"}),
        "storm": EventDef(set={"weather": "storm", "place": "sea"}),
        "calm": EventDef(set={"weather": "clear"}),
        "paint": EventDef(set={"colour": "checkered"}),
    },
)


def test_template_with_defaults() -> None:
    assert PromptState.start(SCRIPT, None).prompt() == "a red balloon over a meadow"


def test_events_fill_the_template() -> None:
    state = PromptState.start(SCRIPT, None).with_event("night").with_event("storm")
    assert state.prompt() == "a red balloon over a wide blue sea at night, in heavy rain"
    assert state.with_event("calm").prompt() == "a red balloon over a wide blue sea at night"


def test_a_value_that_is_not_listed_is_its_own_phrase() -> None:
    assert PromptState.start(SCRIPT, None).with_event("paint").prompt() == "a checkered balloon over a meadow"


def test_a_typed_prompt_replaces_the_base_and_clears_the_slots() -> None:
    state = PromptState.start(SCRIPT, None).with_event("storm").with_prompt("a fox")
    assert state.prompt() == "a fox"
    assert state.slots == {}


def test_events_after_a_typed_prompt_are_appended_in_the_scripts_order() -> None:
    state = PromptState.start(SCRIPT, "a fox").with_event("storm").with_event("night")
    assert state.prompt() == "a fox, wide blue sea, at night, in heavy rain"
    assert state.with_event("calm").prompt() == "a fox, wide blue sea, at night"


def test_states_are_immutable() -> None:
    state = PromptState.start(SCRIPT, None)
    state.with_event("night")
    assert state.prompt() == "a red balloon over a meadow"


def test_unknown_events_are_refused_with_those_that_exist() -> None:
    with pytest.raises(Refused, match="night, storm, calm, paint") as refused:
        PromptState.start(SCRIPT, None).with_event("nihgt")
    assert refused.value.code == "unknown_event"


@pytest.mark.parametrize(
    ("script", "text"),
    [
        (Script(template="a {thing}"), "thing"),
        (Script(template="a fox", events={"e": EventDef(set={"time": "night"})}), "time"),
        (Script(), "nothing to show"),
    ],
)
def test_contradicting_scripts_are_refused(script: Script, text: str) -> None:
    with pytest.raises(Refused, match=text) as refused:
        PromptState.start(script, None)
    assert refused.value.code == "bad_script"


def test_braces_reach_no_attributes() -> None:
    with pytest.raises(Refused):
        PromptState.start(Script(template="{a.__class__}", slots=[Slot(name="a", default="x")]), None)


def test_a_slot_that_is_there_twice_is_refused() -> None:
    twice = Script(template="{a}", slots=[Slot(name="a", default="x"), Slot(name="b"), Slot(name="a", default="y")])
    with pytest.raises(Refused, match="more than one slot 'a'") as caught:
        PromptState.start(twice, None)
    assert caught.value.code == "bad_script"


def test_empty_and_overlong_prompts_fail_the_check() -> None:
    state = PromptState.start(SCRIPT, None)
    with pytest.raises(Refused, match="would be empty"):
        state.with_prompt("  ,").check()
    with pytest.raises(Refused, match="2014 characters"):
        state.with_prompt("x" * 1999).with_event("storm").with_event("calm").check()


def test_a_script_with_a_thousand_events_is_checked_at_once() -> None:
    slots = [*(Slot(name=f"s{number}") for number in range(1023)), Slot(name="a", default="x")]
    events = {f"e{number}": EventDef(set={"a": "yy"}) for number in range(1024)}
    script = Script(template="{a}" * 600, slots=slots, events=events)
    before = time.process_time()
    state = PromptState.start(script, None)
    assert time.process_time() - before < 1, "every other world of the server waits for it"
    assert state.with_event("e9").prompt() == "yy" * 600


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("", "after event 'e' the prompt would be empty"),
        (" , ,", "after event 'e' the prompt would be empty"),
        ("long", "after event 'e' the prompt would have 3000 characters"),
        ("longer", "after event 'e' the prompt would have 30000 characters"),
    ],
)
def test_an_event_under_which_there_could_be_no_prompt_is_named(value: str, problem: str) -> None:
    slot = Slot(name="a", default="x", values={"long": "z" * 30, "longer": "z" * 300})
    script = Script(template="{a}" * 100, slots=[slot], events={"e": EventDef(set={"a": value})})
    with pytest.raises(Refused, match=problem) as refused:
        PromptState.start(script, None)
    assert refused.value.code == "invalid"


def test_what_tidying_removes_does_not_count() -> None:
    slot = Slot(name="a", default="x", values={"wide": "z" + " " * 29})
    script = Script(template="{a}" * 100, slots=[slot], events={"e": EventDef(set={"a": "wide"})})
    assert len(PromptState.start(script, None).with_event("e").prompt()) == 199
