"""Cues: placed at once, coalesced in order, the same blocks in every mode, dropped only by a reset."""

import pytest
from stage import Stage

from longtake.protocol.errors import Refused
from longtake.protocol.generator_messages import GenEncode, GenOpen, GenStep
from longtake.protocol.messages import Ack, Applied, Error, EventDef, Notice, Script, Slot
from longtake.runtime.world.effects import DropWaiting, Requester
from longtake.runtime.world.reports import joined

SCRIPT = Script(
    template="a {thing} {time}",
    slots=[Slot(name="thing", default="balloon"), Slot(name="time", values={"night": "at night"})],
    events={"night": EventDef(set={"time": "night"}), "fox": EventDef(set={"thing": "fox"})},
)


def prompt(stage: Stage, text: str, at_tick: int | None = None, cut_in: bool = False) -> Ack:
    ack = stage.world.cue("prompt", text, at_tick=at_tick, cut_in=cut_in, request=5, now=stage.clock.now())
    stage.carry_out()
    return ack


def event(stage: Stage, name: str, at_tick: int | None = None) -> Ack:
    ack = stage.world.cue("event", name, at_tick=at_tick, cut_in=False, request=6, now=stage.clock.now())
    stage.carry_out()
    return ack


def steps_with_prompt(stage: Stage) -> list[tuple[int, str]]:
    return [(step.block, step.prompt) for step in stage.commands(GenStep) if step.prompt is not None]


def test_a_cue_takes_effect_at_the_first_block_not_yet_started() -> None:
    stage = Stage().open()
    stage.run(5)
    started = len(stage.commands(GenStep))
    ack = prompt(stage, "a blue balloon")
    assert (ack.block, ack.tick, ack.cue, ack.coalesced) == (started, 4 * started, 1, 1)
    stage.run(30)
    assert steps_with_prompt(stage) == [(ack.block, "a blue balloon")]
    (_, applied) = stage.of(Applied)
    assert (applied.block, applied.tick, applied.cue, applied.prompt) == (ack.block, ack.tick, 1, "a blue balloon")
    assert {s.frame.cue for s in stage.shown if s.frame.tick < ack.tick} == {0}
    assert {s.frame.cue for s in stage.shown if s.frame.tick >= ack.tick} == {1}


def test_a_cue_while_a_step_runs_waits_for_the_next_block() -> None:
    stage = Stage().open()
    stage.run(1)
    stage.world.playback._ready.clear()
    step = stage.world.next_command(stage.clock.now())
    assert isinstance(step, GenStep)
    assert prompt(stage, "new").block == step.block + 1


def test_text_is_encoded_as_soon_as_the_cue_arrives() -> None:
    stage = Stage().open()
    prompt(stage, "a fox", at_tick=400)
    assert [message.prompt for message in stage.commands(GenEncode)] == ["a fox"]


def test_cues_within_one_block_coalesce_in_order_into_one_recache() -> None:
    stage = Stage(script=SCRIPT, prompt=None).open()
    stage.run(2)
    acks = [event(stage, "fox"), event(stage, "night"), prompt(stage, "a train"), event(stage, "night")]
    assert len({ack.block for ack in acks}) == 1
    assert [ack.coalesced for ack in acks] == [1, 2, 3, 4]
    assert [ack.prompt for ack in acks] == ["a fox", "a fox at night", "a train", "a train, at night"]
    stage.run(16)
    assert steps_with_prompt(stage) == [(acks[0].block, "a train, at night")]
    marks = [mark for mark in stage.of(Applied) if mark.cue]
    assert [(mark.cue, mark.kind, mark.label) for mark in marks] == [
        (1, "event", "fox"),
        (2, "event", "night"),
        (3, "prompt", "a train"),
        (4, "event", "night"),
    ]
    assert {mark.prompt for mark in marks} == {"a train, at night"}


def test_at_tick_takes_the_first_block_that_starts_at_or_after_it() -> None:
    stage = Stage().open()
    assert [prompt(stage, "x", at_tick=tick).tick for tick in (40, 41, 44, 0)][:3] == [40, 44, 44]


def test_a_later_cue_for_an_earlier_block_is_applied_first() -> None:
    stage = Stage(script=SCRIPT, prompt=None).open()
    late = event(stage, "night", at_tick=80)
    early = event(stage, "fox", at_tick=40)
    assert (early.prompt, late.prompt) == ("a fox", "a balloon at night")
    stage.run(100)
    assert steps_with_prompt(stage) == [(10, "a fox"), (20, "a fox at night")]


def test_a_prompt_that_changes_nothing_needs_no_recache_but_is_told() -> None:
    stage = Stage().open()
    prompt(stage, "a red balloon")
    stage.run(16)
    assert steps_with_prompt(stage) == []
    assert [mark.cue for mark in stage.of(Applied)] == [0, 1]


def test_refused_cues_leave_no_trace() -> None:
    stage = Stage(script=SCRIPT, prompt=None).open()
    with pytest.raises(Refused, match="no event 'storm'"):
        event(stage, "storm")
    with pytest.raises(Refused, match="would be empty"):
        prompt(stage, " ")
    assert event(stage, "fox").cue == 1


def script_of_cues(stage: Stage) -> None:
    event(stage, "night", at_tick=24)
    prompt(stage, "a train", at_tick=50)
    event(stage, "fox", at_tick=72)


def test_live_lockstep_and_offline_make_the_same_blocks() -> None:
    live = Stage(script=SCRIPT, prompt=None, seed=3).open()
    script_of_cues(live)
    live.run(60)
    live.alive = False  # an underrun in the middle
    live.run(20)
    live.alive = True
    live.work()
    live.run(60)

    lockstep = Stage(script=SCRIPT, prompt=None, seed=3, mode="lockstep").open()
    script_of_cues(lockstep)
    for ticks in (1, 2, 3, 50, 44):
        lockstep.advance(ticks)

    offline = Stage(script=SCRIPT, prompt=None, seed=3, mode="offline").open()
    script_of_cues(offline)
    while len(offline.shown) < 100:
        offline.show()

    assert live.world.playback.held > 0
    shown = [[s.frame.pixels.tobytes() for s in stage.shown if not s.held][:100] for stage in (live, lockstep, offline)]
    assert shown[0] == shown[1] == shown[2]
    assert live.digests[:25] == lockstep.digests[:25] == offline.digests[:25]
    assert len(set(live.digests)) == len(live.digests)


def test_another_seed_or_prompt_makes_other_blocks() -> None:
    stages = [Stage(seed=3).open(), Stage(seed=4).open(), Stage(seed=3, prompt="a fox").open()]
    for stage in stages:
        stage.run(8)
    assert len({tuple(stage.digests[:2]) for stage in stages}) == 3


def test_lockstep_makes_nothing_ahead_so_a_cue_waits_for_no_frame_that_was_not_asked_for() -> None:
    stage = Stage(mode="lockstep").open()
    assert stage.commands(GenStep) == []
    stage.advance(4)
    assert len(stage.commands(GenStep)) == 1
    assert prompt(stage, "new").tick == 4


def test_advance_needs_lockstep_and_cut_in_needs_live() -> None:
    live, lockstep = Stage().open(), Stage(mode="lockstep").open()
    with pytest.raises(Refused, match="use step"):
        live.world.advance(4, Requester(client="me", request=1), 0.0)
    with pytest.raises(Refused, match="live"):
        prompt(lockstep, "x", cut_in=True)


def test_a_reset_drops_everything_old_wherever_it_is() -> None:
    stage = Stage(seed=1).open()
    stage.run(6)
    prompt(stage, "far away", at_tick=400)
    step = stage.world.next_command(stage.clock.now())  # on its way while the reset comes
    assert isinstance(step, GenStep)
    stage.generator.worker.carry_out(step, b"")
    old_answers = stage.take_answers()
    old_digests = stage.digests

    stage.world.reset(2)
    assert any(isinstance(effect, DropWaiting) for effect in stage.world.effects)
    assert stage.world.playback.lead == 0
    for message, data in old_answers:
        stage.deliver(message, data)
    assert stage.world.playback.lead == 0, "a block of the old generation came in"
    stage.work()
    shown = len(stage.shown)
    stage.run(12)
    assert stage.ticks[shown:] == list(range(12))
    assert {s.generation for s in stage.shown[shown:]} == {1}
    assert not any(s.held for s in stage.shown[shown:])
    assert not set(stage.digests) & set(old_digests)
    assert stage.world.plan.pending == 0
    assert [notice.kind for notice in stage.of(Notice)] == ["reset"]
    opened = stage.commands(GenOpen)[-1]
    assert (opened.generation, opened.seed) == (1, 2)


def test_between_reset_and_first_block_nothing_old_is_shown() -> None:
    stage = Stage().open()
    stage.run(4)
    stage.alive = False
    stage.world.reset(None)
    stage.carry_out()
    shown = len(stage.shown)
    stage.clock.time += 1
    stage.show()
    assert len(stage.shown) == shown
    assert stage.world.deadline is None


def test_a_reset_keeps_the_prompt_asked_for_last_and_repeats_the_take() -> None:
    stage = Stage(seed=5).open()
    stage.run(6)
    prompt(stage, "a fox")
    stage.run(8)
    prompt(stage, "a boat")
    stage.world.reset(None)
    stage.work()
    assert stage.commands(GenOpen)[-1].prompt == "a boat"
    stage.run(8)
    fresh = Stage(seed=5, prompt="a boat").open()
    fresh.run(8)
    assert stage.digests[:2] == fresh.digests[:2]


def test_a_reset_keeps_events_and_drops_what_waits_for_a_later_tick() -> None:
    stage = Stage(script=SCRIPT, prompt=None).open()
    stage.run(6)
    event(stage, "night")
    stage.run(8)
    event(stage, "fox")
    prompt(stage, "a boat", at_tick=400)
    assert joined(stage.world, 1, "viewer").prompt == "a fox at night", "what was asked for last"
    stage.world.reset(None)
    stage.work()
    assert stage.commands(GenOpen)[-1].prompt == "a fox at night"
    stage.run(120 * 4)
    assert {mark.prompt for mark in stage.of(Applied) if mark.generation == 1} == {"a fox at night"}


def test_a_reset_answers_those_who_wait_for_frames() -> None:
    stage = Stage(mode="lockstep").open()
    stage.alive = False
    stage.world.advance(8, Requester(client="me", request=3), stage.clock.now())
    stage.world.reset(None)
    stage.carry_out()
    (error,) = stage.of(Error)
    assert (error.request, error.code) == (3, "wrong_mode")


def test_cut_in_leaves_out_the_frames_that_were_made_but_not_shown() -> None:
    stage = Stage().open()
    stage.run(2)
    for _ in range(20):
        stage.world.lead.observe(block_s=0.2, recache_s=0.2)
    stage.work()
    shown, tick = len(stage.shown), stage.world.playback.tick
    ack = prompt(stage, "cut", cut_in=True)
    assert ack.tick > tick + 4
    stage.work()
    stage.run(4)
    assert stage.ticks[shown:] == [ack.tick, ack.tick + 1, ack.tick + 2, ack.tick + 3]
    assert stage.world.playback.held == 0
