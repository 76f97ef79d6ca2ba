"""When a live world's blocks begin, and which block a cue gets: in simulated time, with recorded timings."""

import math
from statistics import median
from typing import Any

import pytest
from fakes import FakeConfig, FakeModel, LateFakeModel
from simulation import DIORAMA, FASTER, FRAME_MS, LONGLIVE, SLOWER_CPU, Simulation, Times
from stage import FakeGenerator, Stage

from longtake.protocol.conditioning import fields, new_fields, newly_carried
from longtake.protocol.generator_messages import GenBlock, GenCue, GenOpen, GenSnapshot, GenStep
from longtake.protocol.messages import Ack, Applied, EventDef, Script, Slot
from longtake.runtime.takes.file import TakeBlock

SECONDS = 300.0


def least_ms(times: Times, film_s: float) -> float:
    """The median of cues that come at any moment, for a generator without margins: nothing is faster without a cut."""
    return 1000 * (median(times.recaches) + median(times.blocks) - times.clean_s + film_s / 2)


# --- how long a cue takes ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("times", "frames", "cut_in", "p50_ms"),
    [
        # 757 ms is the least for these times: see `least_ms`
        (LONGLIVE, 12, False, 800),
        (LONGLIVE, 12, True, 400),
        (FASTER, 12, False, 665),
        (FASTER, 12, True, 275),
        (DIORAMA, 4, False, 250),
        (DIORAMA, 4, True, 110),
    ],
    ids=["longlive", "longlive-cut", "faster", "faster-cut", "diorama", "diorama-cut"],
)
def test_event_to_photon(times: Times, frames: int, cut_in: bool, p50_ms: float) -> None:
    world = Simulation(times=times, block_frames=frames, first_block_frames=min(9, frames), cut_in=cut_in)
    world.run(SECONDS)
    assert len(world.latencies_ms) > 100
    assert world.held == 0
    assert world.percentile(50) <= p50_ms
    if not cut_in:
        assert world.percentile(50) <= least_ms(times, frames / 16) + 30
        assert world.percentile(95) <= world.percentile(50) + 1000 * frames / 16 / 2 + 25


def test_diorama_is_within_its_bounds_with_axes_too() -> None:
    world = Simulation(times=DIORAMA, block_frames=4, first_block_frames=4, axes=True).run(SECONDS)
    assert world.held == 0
    assert world.percentile(50) <= 300
    assert world.percentile(95) <= 450


@pytest.mark.parametrize(
    ("times", "cut_in", "p50_ms", "p95_ms"),
    [
        (SLOWER_CPU, False, 300, 450),
        (SLOWER_CPU, True, 125, 200),
        (DIORAMA, False, 225, 350),
        (DIORAMA, True, 75, 125),
    ],
    ids=["slower", "slower-cut", "diorama", "diorama-cut"],
)
def test_a_recache_after_the_block_saves_its_time(times: Times, cut_in: bool, p50_ms: float, p95_ms: float) -> None:
    early, late = (
        Simulation(times=times, block_frames=4, first_block_frames=4, axes=True, cut_in=cut_in, late=late).run(SECONDS)
        for late in (False, True)
    )
    assert early.held == late.held == 0
    assert late.percentile(50) <= p50_ms
    assert late.percentile(95) <= p95_ms
    saved = early.percentile(50) - late.percentile(50)
    assert saved == pytest.approx(1000 * median(times.recaches), abs=40)


@pytest.mark.parametrize("cut_in", [False, True])
def test_a_recache_that_leaves_no_time_for_the_next_block_comes_before_it(cut_in: bool) -> None:
    times = Times(first_block=0.6, blocks=(0.219, 0.21, 0.2, 0.23), recaches=(0.15, 0.16), clean_pass=1 / 6)
    early, late = (
        Simulation(times=times, block_frames=4, first_block_frames=4, axes=True, cut_in=cut_in, late=late).run(60.0)
        for late in (False, True)
    )
    assert late.latencies_ms == early.latencies_ms
    assert late.held == 0


def test_several_worlds_hold_nothing_with_late_recaches() -> None:
    times = Times(first_block=0.3, blocks=(0.05, 0.052), recaches=(0.04, 0.041), clean_pass=1 / 6)
    world = Simulation(times=times, worlds=3, block_frames=4, first_block_frames=4, axes=True, late=True).run(120.0)
    assert world.held == 0
    assert len(world.latencies_ms) > 30


def test_the_picture_says_that_a_cut_is_shown_at_once() -> None:
    world = Simulation(times=LONGLIVE, cut_in=True).run(35.0)
    shown, name = world.shown[0], world.rooms[0].name
    ticks = [publish.frame.tick for publish in shown]
    jumps = [index for index in range(1, len(ticks)) if ticks[index] != ticks[index - 1] + 1]
    assert len(jumps) >= 5
    first = {world.rooms[0].plan.grid.first_tick(ack.block) for ack in world.acks}
    assert {ticks[index] for index in jumps} <= first
    assert all((name, shown[index].frame.block) in world.made_at for index in jumps)


@pytest.mark.parametrize("clean_pass", [0.0, 0.2])
@pytest.mark.parametrize("worlds", [2, 3])
def test_several_worlds_in_turn_hold_nothing(worlds: int, clean_pass: float) -> None:
    times = Times(first_block=2.0, blocks=(0.2, 0.199, 0.2, 0.198), recaches=(0.1, 0.099), clean_pass=clean_pass)
    world = Simulation(times=times, worlds=worlds).run(120.0)
    assert world.held == 0
    assert len(world.latencies_ms) > 30
    # The turns of the others come before a block's own.
    assert world.percentile(50) <= least_ms(times, 12 / 16) + 75 + 200 * (worlds - 1)


def test_a_slow_first_block_does_not_make_cues_wait() -> None:
    slow = Simulation(times=LONGLIVE, cue_every_s=0.75, first_cue_s=8.0).run(60.0)
    assert slow.held == 0
    early = slow.latencies_ms[: len(slow.latencies_ms) // 4]
    assert median(early) <= least_ms(LONGLIVE, 12 / 16) + 60, "the first cue comes after 8 s"


# --- when blocks begin -------------------------------------------------------------------------------------------


def calm(**config: Any) -> Simulation:
    """A simulation without cues of its own."""
    config.setdefault("times", LONGLIVE)
    return Simulation(**config, cue_every_s=math.inf)


def until_idle(world: Simulation, after_s: float = 0.0) -> None:
    """Go on until a block has just been made, and `after_s` further."""
    room = world.rooms[0]
    while room.plan.running is None:
        world.turn(quiet=True)
    while not room.link.free:
        world.turn(quiet=True)
    wanted = world.clock.time + after_s
    while world.clock.time < wanted:
        assert room.link.free, "no time left between two blocks"
        world.clock.time = min(wanted, world.clock.time + 0.001)


@pytest.mark.parametrize(("axes", "spare_s"), [(False, 0.15), (True, 0.0)])
def test_a_block_is_ready_a_margin_and_a_recache_before_its_deadline(axes: bool, spare_s: float) -> None:
    """A model that reads inputs begins later: its block is ready a margin before."""
    world = calm(axes=axes).run(20.0)
    world.cue(0)  # so that a recache is measured
    world.run(40.0)
    room, grid = world.rooms[0], world.rooms[0].plan.grid
    shown_at = {}
    while len(shown_at) < 12 * 6:
        before = len(world.shown[0])
        world.turn(quiet=True)
        shown_at |= {publish.frame.tick: world.clock.time for publish in world.shown[0][before:]}
    spares = [
        shown_at[grid.first_tick(block)] - world.made_at[room.name, block]
        for block in range(room.plan.made)
        if grid.first_tick(block) in shown_at
    ]
    assert len(spares) >= 5
    for spare in spares:
        assert spare_s + 0.01 < spare < spare_s + 0.03


def test_a_cue_is_recached_at_once_when_the_generator_is_idle() -> None:
    world = calm().run(20.0)
    until_idle(world, 0.05)
    room = world.rooms[0]
    asked = world.cue(0)
    assert asked.block == room.plan.committed
    assert room.pacing.wants(world.clock.time) == "ahead"
    command = room.next_command(world.clock.time)
    assert isinstance(command, GenCue)
    assert (command.block, command.prompt) == (asked.block, "scene 0")


def test_another_cue_before_the_block_begins_is_recached_again() -> None:
    world = calm().run(20.0)
    until_idle(world)
    room, begun = world.rooms[0], world.clock.time
    first, second = world.cue(0), world.cue(0)
    assert (first.block, second.block, second.coalesced) == (room.plan.committed, room.plan.committed, 2)
    while world.clock.time < begun + 0.2:
        world.turn(quiet=True)
    third = world.cue(0)
    assert third.block == first.block
    world.run(world.clock.time + 3.0)
    assert room.plan.state.prompt() == "scene 2"
    assert world.held == 0
    assert len(room.lead.recache_s) == 2, "the first two share one recache, the third has its own"


def test_a_cue_that_would_make_the_block_late_goes_to_the_next_one_and_its_ack_says_so() -> None:
    world = calm(axes=True).run(20.0)
    room = world.rooms[0]
    until_idle(world)
    assert room.pacing.turn_at is not None
    while world.clock.time < room.pacing.turn_at - 0.1:
        world.clock.time += 0.001  # nothing happens meanwhile but frames, which are made up for below
    late, later = world.cue(0), world.cue(0)
    assert late.block == later.block == room.plan.committed + 1, "100 ms are too few for a recache of 150"
    assert late.tick == room.plan.grid.first_tick(late.block)
    assert room.plan.asked.prompt() == "scene 1"
    assert room.pacing.wants(world.clock.time) == "", "its recache waits until the block before has been made"
    world.run(world.clock.time + 4.0)
    marks = [mark for mark in room.chronicle.timeline if mark.kind == "prompt"]
    assert [mark.block for mark in marks] == [late.block, late.block]
    assert world.held == 0


def test_a_block_that_waits_for_a_lost_generator_takes_every_cue() -> None:
    stage = Stage(snapshot_every_s=1.0).open()
    stage.run(40)
    stage.die()
    acks = []
    for _ in range(6):
        acks.append(say(stage, f"scene {len(acks)}"))
        stage.run(1)
    assert {ack.block for ack in acks} == {stage.world.plan.committed}
    stage.revive()
    stage.run(12)
    assert stage.world.plan.state.prompt() == "scene 5"


def test_no_cue_overtakes_one_that_was_put_off() -> None:
    stage = Stage().open()
    stage.run(9)
    plan = stage.world.plan
    first = plan.accept("prompt", "late", None, put_off=True)
    second = plan.accept("prompt", "in time", None)
    assert first.cue.block == second.cue.block == plan.committed + 1
    assert plan.wants_ahead() is None
    stage.run(12)
    assert stage.world.plan.state.prompt() == "in time"


def test_a_cut_in_that_would_make_the_block_late_is_made_right_after_it() -> None:
    world = calm(axes=True).run(20.0)
    room = world.rooms[0]
    until_idle(world)
    assert room.pacing.turn_at is not None
    world.clock.time = room.pacing.turn_at - 0.1
    sent = world.clock.time
    ack = world.cue(0, cut_in=True)
    assert ack.block == room.plan.committed + 1
    assert room.pacing.wants(sent) == "step", "the block before it begins at once"
    world.run(sent + 4.0)
    assert world.held == 0
    assert world.latencies_ms == [pytest.approx(1000 * (0.29 + 0.15 + 0.29), abs=2 * FRAME_MS)]


def test_two_cut_ins_in_a_row_both_cut() -> None:
    world = calm().run(20.0)
    until_idle(world)
    world.cue(0, cut_in=True)
    world.turn(quiet=True)
    assert world.rooms[0].plan.running is not None
    world.cue(0, cut_in=True)
    assert len(world.rooms[0].pacing.cut_blocks) == 2
    world.run(world.clock.time + 4.0)
    assert world.rooms[0].pacing.cut_blocks == set()
    assert max(world.latencies_ms) < 1000 * (2 * (0.29 + 0.15) + 0.01)


def test_snapshots_find_a_moment_in_which_they_make_nothing_late() -> None:
    stage = Stage(snapshot_every_s=1.0).open()
    for _ in range(20):
        stage.world.lead.observe(block_s=0.1, recache_s=0.02)
    stage.run(96)
    assert 4 <= len(stage.commands(GenSnapshot)) <= 6
    assert stage.world.playback.held == 0


@pytest.mark.parametrize("mode", ["lockstep", "offline"])
def test_without_a_clock_nothing_is_done_ahead(mode: str) -> None:
    stage = Stage(mode=mode).open()
    if mode == "lockstep":
        stage.advance(8)
    else:
        stage.show()
    say(stage, "a fox")
    if mode == "lockstep":
        stage.advance(8)
    else:
        stage.show()
    assert stage.commands(GenCue) == []
    assert [step.prompt for step in stage.commands(GenStep) if step.prompt] == ["a fox"]


# --- what is made is the same ------------------------------------------------------------------------------------


def say(stage: Stage, text: str) -> Ack:
    return stage.world.cue("prompt", text, at_tick=None, cut_in=False, request=2, now=stage.clock.now())


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


def test_cues_that_are_lost_with_the_generator_are_made_again_the_same_way() -> None:
    stage = Stage(model=LateFakeModel(config=FakeConfig()), snapshot_every_s=0.5).open()
    stage.run(24)
    fall_idle(stage)
    for text in ("a fox", "a red balloon"):
        say(stage, text)
        stage.work()
    stage.die()
    stage.revive()
    stage.run(24)
    assert stage.world.playback.tick > 40
    assert replayed(stage) == stage.digests

    stage = Stage(model=LateFakeModel(config=FakeConfig()), snapshot_every_s=1e6).open()
    stage.run(24)
    fall_idle(stage)
    for text in ("a fox", "a red balloon"):
        say(stage, text)
        stage.work()
    stage.run(12)
    before = list(stage.digests)
    stage.die()
    stage.revive()
    stage.run(24)
    assert stage.digests[: len(before)] == before
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
    stage.run(6)
    before = list(stage.digests)
    stage.die()
    stage.revive()
    stage.run(24)
    assert stage.digests[: len(before)] == before
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
    assert stage.world.pacing.recaches_late
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


# --- cut-ins that a script asks for ------------------------------------------------------------------------------


def test_an_event_of_the_script_may_cut_in_by_itself() -> None:
    events = {"flash": EventDef(set={"time": "night"}, cut_in=True), "dusk": EventDef(set={"time": "dusk"})}
    script = Script(template="a train at {time}", slots=[Slot(name="time", default="day")], events=events)

    def fire(stage: Stage, event: str, at_tick: int | None = None) -> set[int]:
        now = stage.clock.now()
        stage.world.cue("event", event, at_tick=at_tick, cut_in=False, request=1, now=now)
        return stage.world.pacing.cut_blocks

    stage = Stage(script=script, prompt=None).open()
    stage.run(8)
    assert fire(stage, "dusk") == set()
    assert fire(stage, "flash", at_tick=100) == set(), "what is asked for a later tick is there in time"
    assert len(fire(stage, "flash")) == 1
    lockstep = Stage(script=script, prompt=None, mode="lockstep").open()
    assert fire(lockstep, "flash") == set(), "nothing waits to be shown there"
