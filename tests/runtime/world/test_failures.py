"""The generator dies: the world goes on ticking, comes back from its snapshot, and the take goes on."""

from fakes import FakeConfig, FakeModel
from stage import Stage

from longtake.protocol.generator_messages import GenOpen, GenRestore, GenSnapshot, GenStep
from longtake.protocol.messages import Applied, Error, Notice
from longtake.runtime.generator.worker import Worker
from longtake.runtime.takes.file import TakeRestore
from longtake.runtime.world.reports import status


def kinds(stage: Stage) -> list[str]:
    return [notice.kind for notice in stage.of(Notice)]


def lose_in_the_middle(stage: Stage) -> int:
    """Play six seconds with a cue, lose the generator, run dry; return the number of frames shown before."""
    stage.world.cue("prompt", "a fox", at_tick=64, cut_in=False, request=1, now=stage.clock.now())
    stage.run(96)
    stage.die()
    while not stage.shown[-1].held:
        stage.run(1)
    return len(stage.shown) - 1


def test_snapshots_are_taken_between_blocks_every_few_seconds() -> None:
    stage = Stage(snapshot_every_s=1.0).open()
    stage.run(80)
    assert 3 <= len(stage.commands(GenSnapshot)) <= 5
    assert stage.world.plan.restore_point.snapshot is not None
    assert stage.world.playback.held == 0


def test_a_model_without_the_capability_is_never_asked() -> None:
    stage = Stage(model=FakeModel(config=FakeConfig(snapshots=False)), snapshot_every_s=1.0).open()
    stage.run(80)
    assert stage.commands(GenSnapshot) == []


def test_the_last_frame_is_held_and_marked_stale_while_it_is_gone() -> None:
    stage = Stage(snapshot_every_s=1.0).open()
    shown = lose_in_the_middle(stage)
    stage.run(16)
    gone = stage.shown[shown:]
    assert all(frame.held and frame.stale for frame in gone)
    assert {frame.frame.tick for frame in gone} == {shown - 1}
    assert kinds(stage) == ["generator_lost"]
    told = status(stage.world, stage.clock.now(), members=1, recording="", generator="ready")
    assert told.generator == "lost"


def test_it_comes_back_from_the_snapshot_and_the_take_goes_on_unbroken() -> None:
    stage = Stage(snapshot_every_s=1.0, seed=4).open()
    lose_in_the_middle(stage)
    stage.revive()
    (restored,) = stage.commands(GenRestore)
    assert restored.generation == 0
    stage.run(40)
    fresh = Stage(seed=4).open()
    fresh.world.cue("prompt", "a fox", at_tick=64, cut_in=False, request=1, now=fresh.clock.now())
    fresh.run(160)
    count = min(len(stage.digests), len(fresh.digests))
    assert count > 30
    assert stage.digests[:count] == fresh.digests[:count]
    moving = [s.frame.tick for s in stage.shown if not s.held]
    assert moving == list(range(len(moving))), "a tick was lost or shown twice"
    assert not stage.shown[-1].held
    assert kinds(stage) == ["generator_lost", "generator_back"]


def test_blocks_made_again_are_neither_shown_nor_logged_twice() -> None:
    stage = Stage(snapshot_every_s=1.0).open()
    lose_in_the_middle(stage)
    before, made = len(stage.commands(GenStep)), stage.world.plan.made
    source = stage.world.plan.restore_point.block
    assert source < made
    stage.revive()
    again = [step.block for step in stage.commands(GenStep)[before:]]
    assert again[: made - source] == list(range(source, made))
    (record,) = [r for r in stage.records if isinstance(r, TakeRestore)]
    assert (record.source, record.block, record.kind) == (source, made, "compact")
    assert len(record.snapshot) == 32
    assert len([mark for mark in stage.of(Applied) if mark.cue == 1]) == 1


def test_without_a_snapshot_yet_it_is_made_again_from_the_seed() -> None:
    stage = Stage(snapshot_every_s=1000.0).open()
    stage.run(20)
    digests = stage.digests
    stage.die()
    stage.revive()
    stage.run(20)
    assert len(stage.commands(GenOpen)) == 2
    assert stage.world.generation == 0
    assert stage.digests[: len(digests)] == digests
    assert stage.ticks[-1] == 39


def test_a_model_that_cannot_save_begins_a_new_take_at_the_current_prompt() -> None:
    stage = Stage(model=FakeModel(config=FakeConfig(snapshots=False))).open()
    stage.world.cue("prompt", "a fox", at_tick=None, cut_in=False, request=1, now=stage.clock.now())
    stage.run(20)
    stage.die()
    stage.revive()
    assert stage.commands(GenOpen)[-1].prompt == "a fox"
    assert stage.world.generation == 1
    assert sorted(kinds(stage)) == ["generator_back", "generator_lost", "reset"]


def test_a_cue_whose_step_died_with_the_generator_is_applied_where_it_was_acknowledged() -> None:
    stage = Stage(snapshot_every_s=1.0).open()
    stage.run(40)
    ack = stage.world.cue("prompt", "a boat", at_tick=None, cut_in=False, request=1, now=stage.clock.now())
    stage.work()  # the recache, ahead of the step
    assert stage.world.pacing.turn_at is not None
    stage.clock.time = stage.world.pacing.turn_at
    step = stage.world.next_command(stage.clock.now())  # sent, never answered
    assert isinstance(step, GenStep)
    assert (step.block, step.prompt) == (ack.block, "a boat")
    stage.die()
    later = stage.world.cue("prompt", "a train", at_tick=None, cut_in=False, request=2, now=stage.clock.now())
    assert later.block == ack.block + 1
    stage.revive()
    stage.run(24)
    marks = [(mark.cue, mark.block, mark.prompt) for mark in stage.of(Applied) if mark.cue]
    assert marks == [(1, ack.block, "a boat"), (2, later.block, "a train")]


def test_a_failed_step_is_tried_again_from_the_restore_point() -> None:
    stage = Stage(model=FakeModel(config=FakeConfig(fail_at=6)), seed=2).open()
    stage.run(60)
    fresh = Stage(seed=2).open()
    fresh.run(60)
    assert stage.digests[:14] == fresh.digests[:14]
    assert stage.world.phase == "ready"


def test_a_prompt_that_always_fails_closes_the_world_in_the_end() -> None:
    stage = Stage().open()
    stage.world.cue("prompt", "fail", at_tick=None, cut_in=False, request=1, now=stage.clock.now())
    while stage.world.phase != "closed":
        stage.run(1)
    assert len(stage.commands(GenRestore)) + len(stage.commands(GenOpen)) == 1 + 2, "not tried again"
    assert "this prompt cannot be shown" in stage.of(Notice)[-1].text


def test_a_world_that_cannot_be_opened_is_an_error_for_the_opener() -> None:
    stage = Stage(prompt="too big").open()
    (error,) = stage.of(Error)
    assert (error.code, error.request) == ("no_room", 1)
    assert "needs 3 GB" in error.message
    assert stage.world.phase == "closed"


def test_a_world_that_kills_the_generator_again_and_again_is_closed() -> None:
    stage = Stage(snapshot_every_s=1.0).open()
    stage.run(40)
    stage.world.cue("prompt", "deadly", at_tick=None, cut_in=False, request=1, now=stage.clock.now())
    for _ in range(3):
        assert stage.world.phase == "ready"
        while not (stage.world.wants_turn(stage.clock.now()) and not stage.world.plan.catching_up):
            stage.clock.time = stage.world.deadline or stage.clock.time
            stage.world.service(stage.clock.now())
        while isinstance(stage.world.next_command(stage.clock.now()), GenSnapshot):
            continue
        stage.die()
        stage.alive = True
        if stage.world.phase != "closed":
            stage.generator.worker = Worker({"fake": stage.generator.model}, stage.generator._answer)
            stage.world.generator_back()
            stage.carry_out()
            while stage.world.plan.catching_up:
                stage.command(stage.world.next_command(stage.clock.now()), None)
    assert stage.world.phase == "closed"
    assert "again and again" in stage.of(Notice)[-1].text


def test_a_loss_between_blocks_is_no_fault_of_the_world() -> None:
    stage = Stage(snapshot_every_s=1.0).open()
    for _ in range(6):
        stage.die()
        stage.revive()
    assert stage.world.phase == "ready"


def test_dying_while_opening_opens_again() -> None:
    stage = Stage()
    stage.alive = False
    stage.world.open(None)
    stage.carry_out()
    stage.die()
    stage.revive()
    stage.run(8)
    assert stage.ticks == list(range(8))


def test_dying_during_the_restore_restores_again() -> None:
    stage = Stage(snapshot_every_s=1.0).open()
    lose_in_the_middle(stage)
    stage.world.generator_back()
    assert stage.world.phase == "restoring"
    stage.world.generator_lost()
    stage.world.effects.clear()
    stage.revive()
    stage.run(20)
    assert not stage.shown[-1].held
