"""A live world on a fake clock: one frame a deadline, held when the next is late, a bounded lead."""

import pytest
from fakes import FakeConfig, FakeModel
from stage import Stage

from longtake.protocol.generator_messages import GenStep
from longtake.protocol.messages import Applied, Done, Joined, Reading, Script
from longtake.runtime.takes.recorder import checked_name
from longtake.runtime.world.effects import Requester
from longtake.runtime.world.reports import status

ME = Requester(client="me", request=9)


def test_joined_comes_when_the_generator_has_opened_it() -> None:
    stage = Stage(seed=7)
    stage.world.open(Requester(client="me", request=1))
    assert stage.of(Joined) == []
    stage.work()
    (joined,) = stage.of(Joined)
    assert (joined.request, joined.seed, joined.prompt, joined.role) == (1, 7, "a red balloon", "director")


def test_every_deadline_shows_the_next_frame() -> None:
    stage = Stage().open()
    start = stage.clock.now()
    stage.run(40)
    assert stage.ticks == list(range(40))
    assert [shown.number for shown in stage.shown] == list(range(40))
    assert not any(shown.held for shown in stage.shown)
    assert stage.clock.now() == start + 39 / 16


def test_the_schedule_begins_with_the_first_block_not_with_the_opening() -> None:
    stage = Stage()
    stage.world.open(None)
    stage.alive = False
    stage.clock.time += 30
    assert stage.world.deadline is None
    stage.alive = True
    stage.world.link.open()
    stage.work()
    assert stage.world.deadline == stage.clock.now()
    stage.run(8)
    assert (stage.world.playback.held, stage.world.playback.skipped) == (0, 0)


def test_a_late_block_holds_the_last_frame_and_the_tick_stands() -> None:
    stage = Stage().open()
    stage.run(1)
    made = 1 + stage.world.playback.lead
    stage.alive = False  # asked for, but it does not come
    while len(stage.shown) < made:
        stage.run(1)
    stage.run(3)
    assert stage.ticks == [*range(made), made - 1, made - 1, made - 1]
    assert [shown.held for shown in stage.shown[-4:]] == [False, True, True, True]
    assert stage.world.playback.held == 3
    assert stage.world.playback.tick == made
    stage.alive = True
    stage.work()
    stage.run(2)
    assert stage.ticks[-2:] == [made, made + 1]
    assert stage.world.playback.held == 3


def test_after_a_stall_of_the_loop_there_is_no_burst() -> None:
    stage = Stage().open()
    stage.run(1)
    stage.clock.time += 10 / 16 + 0.001
    stage.show()
    assert len(stage.shown) == 2
    assert stage.world.playback.skipped == 9
    stage.show()
    assert len(stage.shown) == 2


def test_pause_and_resume_anchor_the_schedule_anew() -> None:
    stage = Stage().open()
    stage.run(5)
    stage.world.pause()
    assert stage.world.deadline is None
    stage.clock.time += 3600
    stage.show()
    stage.world.resume(stage.clock.now())
    assert stage.world.deadline == stage.clock.now()
    stage.run(5)
    assert stage.ticks == list(range(10))
    assert (stage.world.playback.held, stage.world.playback.skipped) == (0, 0)


def test_step_shows_one_block_and_pauses() -> None:
    stage = Stage(paused=True).open()
    assert stage.world.deadline is None
    stage.world.step(None, ME, stage.clock.now())
    stage.run(4)
    assert stage.ticks == [0, 1, 2, 3]
    assert stage.world.deadline is None
    (done,) = stage.of(Done)
    assert (done.request, done.tick) == (9, 4)
    stage.world.step(2, ME, stage.clock.now())
    stage.run(2)
    assert stage.world.playback.tick == 6
    assert stage.world.playback.paused


def test_the_lead_is_bounded_by_target_and_block() -> None:
    stage = Stage().open()
    highest = 0
    for _ in range(64):
        stage.run(1)
        highest = max(highest, stage.world.playback.lead)
    target = stage.world.lead.target_frames()
    assert target == 1, "a generator that takes no time needs no more"
    assert highest <= 4 + 4, "the first guess is one block"
    assert stage.world.playback.lead <= target + 4


def test_a_paused_world_does_not_run_ahead() -> None:
    stage = Stage(paused=True).open()
    for _ in range(10):
        stage.show()
    assert len(stage.commands(GenStep)) <= 2


def test_blocks_of_another_shape_close_the_world() -> None:
    stage = Stage()
    stage.generator.model.config = FakeConfig(block_frames=3, first_block_frames=4)
    stage.open()
    while stage.world.phase == "ready":
        stage.run(1)
    assert stage.world.phase == "closed"
    assert "instead of (4, 12, 20)" in stage.told[-1].text


def test_start_and_readings_are_told() -> None:
    stage = Stage(readings=True).open()
    stage.run(8)
    start = stage.of(Applied)[0]
    assert (start.kind, start.cue, start.block, start.tick, start.prompt) == ("start", 0, 0, 0, "a red balloon")
    assert [reading.tick for reading in stage.of(Reading)][:3] == [0, 4, 8]


def test_a_model_without_a_probe_refuses_readings() -> None:
    with pytest.raises(Exception, match="no probe"):
        Stage(model=FakeModel(config=FakeConfig(readings=False)), readings=True)


def test_status_figures() -> None:
    stage = Stage().open()
    stage.run(20)
    stage.world.photon_ms.add(120.0)
    told = status(stage.world, stage.clock.now(), members=2, recording="", generator="ready")
    assert (told.tick, told.shown, told.held, told.skipped, told.members) == (20, 20, 0, 0, 2)
    assert told.fps == 16
    assert told.block == 4
    assert told.event_to_photon_ms == 120.0


@pytest.mark.parametrize(
    ("script", "take"), [("..", "take-7-w1-0"), (".hidden", "hidden-7-w1-0"), ("fox", "fox-7-w1-0")]
)
def test_a_recording_without_a_name_gets_one_that_a_take_can_have(script: str, take: str) -> None:
    world = Stage(seed=7, script=Script(name=script)).open().world
    assert world.take_name == take
    assert checked_name(world.take_name) == f"{take}.take"
