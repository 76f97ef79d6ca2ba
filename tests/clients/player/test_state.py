"""The player's knowledge and its prompt line, without a window."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longtake.clients.player.prompt import MAX_CHARACTERS, PromptLine
from longtake.clients.player.state import FLASH_S, PENDING_S, TOAST_S, PlayerState, read_slots
from longtake.protocol import messages as m
from longtake.protocol.text import clean
from longtake.runtime.world.prompt_state import PromptState
from longtake.scenarios.loading import library

LIBRARY = library()

MODEL = m.ModelInfo(name="diorama", height=96, width=160, fps=16, block_frames=4, first_block_frames=4, window_blocks=9)
SCRIPT = m.Script(
    name="s",
    template="{time} {weather}",
    slots=[m.Slot(name="time", default="day"), m.Slot(name="weather", default="clear")],
    events={
        "night": m.EventDef(set={"time": "night"}, key="n"),
        "day": m.EventDef(set={"time": "day"}, key="d"),
        "storm": m.EventDef(set={"time": "night", "weather": "rain"}, key="s"),
    },
)


JOINED = m.Joined(
    request=1,
    world="w",
    role="director",
    model=MODEL,
    script=SCRIPT,
    mode="live",
    seed=7,
    generation=0,
    tick=0,
    block=0,
    paused=False,
    prompt="day clear",
)


def frame(tick: int, cue: int = 0, generation: int = 0) -> m.Frame:
    return m.Frame(
        world="w",
        generation=generation,
        number=tick,
        tick=tick,
        block=tick // 4,
        cue=cue,
        height=96,
        width=160,
        encoding="raw",
    )


def ack(cue: int, tick: int, generation: int = 0) -> m.Ack:
    return m.Ack(request=1, world="w", generation=generation, cue=cue, block=tick // 4, tick=tick, prompt="p")


def mark(cue: int, tick: int, label: str, kind: str = "event") -> m.Applied:
    return m.Applied(world="w", generation=0, cue=cue, block=tick // 4, tick=tick, kind=kind, label=label, prompt=label)  # type: ignore[arg-type]


def entered() -> PlayerState:
    state = PlayerState()
    state.joined(JOINED)
    return state


def test_latency_runs_from_the_key_press_to_the_first_frame_under_the_cue() -> None:
    state = entered()
    cue = state.press("event", "night", 10.0)
    assert state.shown(frame(3), 10.1) == []
    cue.ack = ack(cue=1, tick=8)
    assert state.shown(frame(7, cue=0), 10.2) == []
    assert state.waiting_for("night")
    measured = state.shown(frame(8, cue=1), 10.5)
    assert [number for number, _ in measured] == [1]
    assert abs(measured[0][1] - 500) < 1e-6
    assert not state.waiting_for("night")
    assert state.latency_ms == measured[0][1]


def test_coalesced_cues_are_all_measured_by_the_same_frame() -> None:
    state = entered()
    for number, when in ((1, 1.0), (2, 1.1)):
        state.press("event", "night", when).ack = ack(cue=number, tick=4)
    assert [cue for cue, _ in state.shown(frame(4, cue=2), 2.0)] == [1, 2]


def test_cues_of_an_older_generation_are_given_up_without_a_measurement() -> None:
    state = entered()
    state.press("event", "night", 1.0).ack = ack(cue=1, tick=4)
    assert state.shown(frame(0, cue=5, generation=1), 1.5) == []
    assert state.pending == []


def test_a_cue_nobody_answers_is_given_up_after_a_while() -> None:
    state = entered()
    state.press("event", "night", 0.0)
    state.shown(frame(0), PENDING_S - 1)
    assert state.pending
    state.shown(frame(1), PENDING_S + 1)
    assert not state.pending


def test_a_refused_cue_leaves_the_strip_and_says_why() -> None:
    state = entered()
    cue = state.press("prompt", "a fox", 1.0)
    state.refused(cue, "too many cues", 1.1)
    assert state.pending == []
    assert [toast.text for toast in state.live_toasts(1.2)] == ["too many cues"]


def test_slots_follow_the_frame_on_the_screen_not_the_newest_cue() -> None:
    state = entered()
    state.timeline = [mark(0, 0, "day clear"), mark(1, 8, "night rain"), mark(2, 40, "day rain")]
    state.shown(frame(4), 0)
    assert state.in_force() == {"day"}
    state.shown(frame(8), 0)
    assert state.in_force() == {"night", "storm"}
    state.shown(frame(41), 0)
    assert state.slots() == {"time": "day", "weather": "rain"}
    assert state.in_force() == {"day"}


def test_a_typed_prompt_clears_the_slots() -> None:
    state = entered()
    state.timeline = [mark(1, 8, "night rain"), mark(2, 16, "a fox", "prompt"), mark(3, 24, "a fox, night")]
    state.shown(frame(20), 0)
    assert state.in_force() == set()
    state.shown(frame(24), 0)
    assert state.in_force() == {"night"}
    assert state.prompt == "a fox, night"


def test_slots_are_read_from_the_prompt_s_own_words() -> None:
    script = m.Script(
        slots=[
            m.Slot(name="weather", default="clear", values={"clear": "", "rain": "in heavy rain", "snow": "in snow"}),
            m.Slot(name="place", default="sea", values={"sea": "over the sea", "city": "over the city"}),
            m.Slot(name="colour", default="red"),
        ],
        events={"blue": m.EventDef(set={"colour": "blue"})},
    )
    assert read_slots("a red fox over the sea", script) == {"weather": "clear", "place": "sea", "colour": "red"}
    assert read_slots("a blue fox over the city, in heavy rain", script)["weather"] == "rain"
    assert read_slots("over the sea, over the city", script)["place"] == "city", "what is said last holds"
    assert read_slots("a fox in the city in the rain", script).items() >= {"place": "city", "weather": "rain"}.items()
    assert "colour" not in read_slots("a scarred, reddish fox", script), "whole words only"


@pytest.mark.parametrize("name", list(LIBRARY))
def test_the_slots_of_every_shipped_scenario_can_be_read_back(name: str) -> None:
    scenario = LIBRARY[name]
    state = PromptState.start(scenario.script(), None)
    values = {slot: spec.default for slot, spec in scenario.slots.items()}
    assert read_slots(state.prompt(), scenario.script()) == values
    for event, spec in scenario.events.items():
        values |= spec.set
        state = state.with_event(event)
        assert read_slots(state.prompt(), scenario.script()) == values, event


def test_toasts_go_away_and_do_not_repeat() -> None:
    state = PlayerState()
    state.toast("one", 0.0)
    state.toast("one", 1.0)
    assert len(state.live_toasts(1.0)) == 1
    assert state.live_toasts(1.0 + TOAST_S) == []


def test_every_notice_of_the_protocol_has_words() -> None:
    for kind in ("closed", "reset", "generator_lost", "generator_back", "recording", "shutdown"):
        state = PlayerState()
        state.notice(m.Notice(world="w", kind=kind), 0.0)  # type: ignore[arg-type]
        assert state.live_toasts(0.0)[0].text


def test_a_keycap_glows_for_a_moment() -> None:
    state = entered()
    state.press("event", "night", 5.0)
    assert state.glow("night", 5.0) == 1.0
    assert 0 < state.glow("night", 5.0 + FLASH_S / 2) < 1
    assert state.glow("night", 5.1 + FLASH_S) == 0.0
    assert state.glow("day", 5.0) == 0.0


def test_rejoining_another_generation_forgets_what_was_on_its_way() -> None:
    state = entered()
    state.press("event", "night", 1.0)
    state.joined(JOINED)
    assert state.pending, "the same world, joined again after a lost connection, keeps its cues"
    state.joined(msgspec.structs.replace(JOINED, generation=1))
    assert not state.pending


def test_another_world_of_the_same_name_is_another_world() -> None:
    state = entered()
    state.shown(frame(9), 0.0)
    state.press("event", "night", 1.0)
    state.joined(JOINED, another=True)
    assert state.frame is None
    assert not state.pending


# --- the prompt line ---------------------------------------------------------------------------------------


def test_typing_moving_and_deleting() -> None:
    line = PromptLine()
    line.focus()
    line.insert("a red fox")
    line.move(-4)
    line.insert("der")
    assert line.text == "a redder fox"
    line.backspace()
    line.delete()
    assert line.text == "a reddefox"
    line.move_to(0)
    line.delete()
    line.move_to(-1)
    line.backspace(word=True)
    assert line.text == " "


def test_word_moves() -> None:
    line = PromptLine()
    line.insert("one two  three")
    line.move(-1, word=True)
    assert line.text[line.cursor :] == "three"
    line.move(-1, word=True)
    assert line.text[line.cursor :] == "two  three"
    line.move(1, word=True)
    assert line.text[: line.cursor] == "one two"


def test_pasting_lines_makes_one_line_and_drops_control_characters() -> None:
    line = PromptLine()
    line.insert("a fox\n\tin\x07 snow\r\n")
    assert line.text == "a fox in snow"


def test_history_keeps_the_draft() -> None:
    line = PromptLine()
    for text in ("first", "second", "second"):
        line.focus()
        line.insert(text)
        assert line.submit() == text
    assert line.history == ["first", "second"]
    line.focus()
    line.insert("draft")
    line.older()
    assert (line.text, line.cursor) == ("second", 6)
    line.older()
    line.older()
    assert line.text == "first"
    line.newer()
    line.newer()
    line.newer()
    assert line.text == "draft"


def test_white_space_is_not_a_prompt() -> None:
    line = PromptLine()
    line.insert("   ")
    assert line.submit() == ""
    assert line.history == []


EDITS = st.lists(
    st.one_of(
        st.tuples(st.just("insert"), st.text(max_size=12)),
        st.tuples(st.sampled_from(["backspace", "delete", "older", "newer", "submit", "clear"]), st.none()),
        st.tuples(st.just("move"), st.integers(-30, 30)),
        st.tuples(st.just("move_to"), st.integers(-1, 30)),
    ),
    max_size=60,
)


@settings(deadline=None, max_examples=60)
@given(EDITS)
def test_the_cursor_never_leaves_the_text(edits: list[tuple[str, object]]) -> None:
    line = PromptLine()
    line.focus()
    for name, argument in edits:
        getattr(line, name)(*([] if argument is None else [argument]))
        assert 0 <= line.cursor <= len(line.text) <= MAX_CHARACTERS
        assert clean(line.text + "x") == line.text + "x"


def test_a_character_is_moved_over_and_deleted_whole() -> None:
    line = PromptLine()
    line.insert("a\u2764\ufe0fb")
    line.move_to(0)
    line.move(1)
    line.move(1)
    assert line.cursor == 3
    line.move(-1)
    assert line.cursor == 1
    line.delete()
    assert (line.text, line.cursor) == ("ab", 1)
    line.insert("e\u0301")
    line.backspace()
    assert (line.text, line.cursor) == ("ab", 1)


def test_a_mark_typed_after_its_letter_stays_and_one_without_a_letter_does_not() -> None:
    line = PromptLine()
    for typed in ("\u0301", "\ufe0f", "e", "\u0301", "\u200b", "\0", "\ud800"):
        line.insert(typed)
    assert line.text == "e\u0301\ufffd"
    line.clear()
    line.insert("\u200b \u3164")
    assert line.submit() == ""


def test_suggested_prompts_come_up_in_their_order() -> None:
    line = PromptLine()
    line.suggest(["first", "second"])
    line.focus()
    line.older()
    assert line.text == "first"
    line.older()
    assert line.text == "second"
