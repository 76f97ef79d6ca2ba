"""Cues that are brought ahead of their block, and late ones: what is made is the same when it is made again."""

from typing import Any

import pytest
from fakes import FakeConfig, FakeModel, LateFakeModel
from stage import FakeGenerator, Stage, say

from longtake.protocol.conditioning import fields, new_fields, newly_carried
from longtake.protocol.generator_messages import GenBlock, GenCue, GenOpen, GenStep
from longtake.protocol.messages import Applied
from longtake.runtime.takes.file import TakeBlock


def replayed(stage: Stage) -> list[str]:
    """The digests of a take's blocks when they are made again from its records."""
    generator = FakeGenerator(LateFakeModel())
    start = stage.world.chronicle.first_conditioning
    worker, names = generator.worker, {"world": "w", "generation": 0}
    worker.carry_out(GenOpen(**names, model="fake", seed=0, **fields(start)), b"")
    for record in stage.world.chronicle.records():
        if isinstance(record, TakeBlock):
            worker.carry_out(GenStep(**names, block=record.block, **new_fields(newly_carried(record))), b"")
    return [message.digest for message, _ in generator.answers if isinstance(message, GenBlock)]


def lose_after(stage: Stage, ticks: int) -> None:
    """Lose the generator after so many ticks, and go on with another one: what was made before stays as it is."""
    stage.run(ticks)
    before = list(stage.digests)
    stage.die()
    stage.revive()
    stage.run(24)
    assert stage.digests[: len(before)] == before


def fall_idle(stage: Stage) -> None:
    """Go to a moment between two blocks, with time for a cue."""
    while not stage.world.pacing.takes_cue(stage.clock.now()) or stage.world.plan.wants_ahead():
        stage.run(1)


@pytest.mark.parametrize(
    "cues", [["a fox"], ["a fox", "a boat"], ["a fox", "a red balloon"], ["a fox", "a boat", "a red balloon", "a fox"]]
)
def test_a_replay_of_cues_done_ahead_is_the_same_bit_for_bit(cues: list[str]) -> None:
    stage = Stage(model=LateFakeModel(config=FakeConfig())).open()
    stage.run(16)
    fall_idle(stage)
    for text in cues:
        say(stage, text)
        stage.work()
    assert [cue.prompt for cue in stage.commands(GenCue)] == cues
    stage.run(16)
    assert replayed(stage) == stage.digests
    (changed,) = (r for r in stage.world.chronicle.records() if isinstance(r, TakeBlock) and r.prompt)
    assert changed.prompt == cues[-1]
    assert changed.via == ("a fox" if cues[-1] == "a red balloon" else None)
    assert [mark.label for mark in stage.of(Applied) if mark.cue] == cues


def with_cues_ahead(**config: Any) -> Stage:
    """A live world that has brought two cues ahead, one after the other."""
    stage = Stage(model=LateFakeModel(config=FakeConfig()), **config).open()
    stage.run(24)
    fall_idle(stage)
    for text in ("a fox", "a red balloon"):
        say(stage, text)
        stage.work()
    return stage


def test_cues_that_are_lost_with_the_generator_are_made_again_the_same_way() -> None:
    stage = with_cues_ahead(snapshot_every_s=0.5)
    stage.die()
    stage.revive()
    stage.run(24)
    assert stage.world.playback.tick > 40
    assert replayed(stage) == stage.digests

    stage = with_cues_ahead(snapshot_every_s=1e6)
    lose_after(stage, 12)
    assert replayed(stage) == stage.digests, "made a second time, with the detour"


def with_late_cue(**config: Any) -> Stage:
    """A live world that got a cue just before a block's turn."""
    stage = Stage(model=LateFakeModel(), **config).open()
    stage.run(24)
    before_turn(stage)
    assert say(stage, "a fox").block == stage.world.plan.committed
    stage.work()
    return stage


def before_turn(stage: Stage, seconds: float = 0.02) -> None:
    """Go to that long before a block's turn. On the stage nothing takes time, so say what blocks and recaches take."""
    turn_at = None
    while turn_at is None or not seconds < turn_at - stage.clock.time < 1 / 16:
        stage.run(1)
        for _ in range(64):
            stage.world.lead.observe(block_s=0.05, recache_s=0.04)
        turn_at = stage.world.pacing.turn_at
    stage.clock.time = turn_at - seconds


def test_a_late_cue_is_recached_after_its_block_and_a_replay_does_the_same() -> None:
    stage = with_late_cue()
    assert stage.commands(GenCue) == [], "20 ms are too few for a recache of 40"
    stage.run(16)
    (step,) = (step for step in stage.commands(GenStep) if step.prompt)
    assert (step.prompt, step.via, step.late) == ("a fox", None, True)
    assert stage.generator.model.catching_up == 1
    assert stage.world.playback.held == 0
    (changed,) = (r for r in stage.world.chronicle.records() if isinstance(r, TakeBlock) and r.prompt)
    assert changed.late
    assert replayed(stage) == stage.digests


@pytest.mark.parametrize("snapshot_every_s", [0.5, 1e6])
def test_a_late_cue_that_is_lost_with_the_generator_is_made_again_the_same_way(snapshot_every_s: float) -> None:
    stage = with_late_cue(snapshot_every_s=snapshot_every_s)
    lose_after(stage, 6)
    assert replayed(stage) == stage.digests


@pytest.mark.parametrize("at_tick", [None, 0])
def test_a_cue_that_is_asked_for_at_its_tick_is_never_late(at_tick: int | None) -> None:
    """What it makes is the same in every mode; a cue beside it waits for the recache too."""
    stage = Stage(model=LateFakeModel()).open()
    stage.run(24)
    before_turn(stage)
    plan = stage.world.plan
    assert plan.accept("prompt", "a fox", at_tick).cue.block == plan.committed
    assert plan.can_be_late == (at_tick is None)
    assert stage.world.pacing.takes_cue(stage.clock.now()) == (at_tick is None)
    _, conditioning = plan.issue(late=True)
    assert conditioning is not None
    assert conditioning.late == (at_tick is None)


def test_a_cue_after_one_that_was_brought_ahead_is_not_late() -> None:
    stage = Stage(model=LateFakeModel()).open()
    stage.run(24)
    before_turn(stage, 0.055)
    say(stage, "a boat")
    stage.work()
    assert stage.commands(GenCue)[-1].prompt == "a boat"
    assert stage.world.pacing.recaches_late(stage.clock.now())
    assert not stage.world.plan.can_be_late, "the window is under the boat already"
    stage.clock.time += 0.035
    assert say(stage, "a train").block == stage.world.plan.committed + 1
    stage.run(16)
    assert stage.world.plan.state.prompt() == "a train"
    assert replayed(stage) == stage.digests


def test_a_reset_forgets_what_was_done_ahead() -> None:
    stage = Stage(model=LateFakeModel(config=FakeConfig())).open()
    stage.run(16)
    fall_idle(stage)
    say(stage, "a fox")
    command = stage.world.next_command(stage.clock.now())
    assert isinstance(command, GenCue)
    stage.world.reset(None)
    assert stage.world.link.cueing_since is None
    stage.command(command, None)  # its answer is of the older generation
    stage.carry_out()
    stage.work()
    stage.run(8)
    assert stage.world.phase == "ready"
    assert stage.world.plan.state.prompt() == "a fox"
    assert not stage.world.plan.is_ahead


def test_a_cue_that_fails_ahead_is_a_failed_block() -> None:
    class Failing(FakeModel):
        def cue(self, world: object, conditioning: Any) -> None:
            if conditioning.prompt == "broken":
                raise ValueError("these words cannot be drawn")
            super().cue(world, conditioning)

    stage = Stage(model=Failing()).open()
    stage.run(16)
    fall_idle(stage)
    say(stage, "broken")
    stage.work()
    while stage.world.phase == "ready":
        stage.run(1)
    assert stage.world.phase == "closed"
    assert "these words cannot be drawn" in stage.told[-1].text
