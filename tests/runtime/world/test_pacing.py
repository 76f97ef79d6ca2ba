"""When a live world's blocks begin, and which block a cue gets: in simulated time, with recorded timings."""

import math
from statistics import median
from typing import Any

import pytest
from simulation import DIORAMA, FASTER, FRAME_MS, LONGLIVE, SLOWER_CPU, Simulation, Times
from stage import Stage, say

from longtake.protocol.generator_messages import GenCue, GenSnapshot, GenStep
from longtake.protocol.messages import EventDef, Script, Slot

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


@pytest.mark.parametrize("cue_every_s", [2.0, 0.3])
def test_a_recache_that_does_not_fit_between_two_blocks_is_late_when_the_lead_makes_up_for_it(
    cue_every_s: float,
) -> None:
    """A second one right after it is not: its cue goes to the block after the next."""
    times = Times(first_block=0.6, blocks=(0.14, 0.15, 0.135, 0.145, 0.16), recaches=(0.11, 0.12), clean_pass=1 / 6)
    assert median(times.blocks) + times.clean_s + median(times.recaches) > 0.25
    early, late = (
        Simulation(
            times=times, block_frames=4, first_block_frames=4, axes=True, late=late, cue_every_s=cue_every_s
        ).run(SECONDS)
        for late in (False, True)
    )
    assert early.held == late.held == 0
    assert late.percentile(50) <= early.percentile(50) - 60
    assert late.percentile(95) <= early.percentile(95) - 60


@pytest.mark.parametrize(
    ("block_s", "recache_s", "cut_in"),
    [(0.16, 0.12, False), (0.16, 0.12, True), (0.21, 0.15, True), (0.21, 0.15, False)],
)
def test_on_a_slow_processor_a_late_recache_holds_no_frames(block_s: float, recache_s: float, cut_in: bool) -> None:
    blocks = tuple(block_s * factor for factor in (1.0, 0.95, 1.05, 0.97, 1.02))
    times = Times(first_block=0.6, blocks=blocks, recaches=(recache_s, 1.05 * recache_s), clean_pass=1 / 6)
    early, late = (
        Simulation(times=times, block_frames=4, first_block_frames=4, axes=True, cut_in=cut_in, late=late).run(SECONDS)
        for late in (False, True)
    )
    assert late.held <= early.held == 0
    assert late.percentile(50) <= early.percentile(50) + 5
    assert late.percentile(95) <= early.percentile(95) + 10


def test_a_processor_that_others_take_now_and_then_is_learned_to_be_unsteady() -> None:
    """Blocks of 100 ms, and a few of 150 every ten seconds: each time the pace of the newest ones is too short."""
    steady, slow = (0.1, 0.098, 0.103, 0.101) * 9, (0.15, 0.155, 0.148, 0.16)
    times = Times(first_block=0.3, blocks=steady + slow, recaches=(0.08, 0.085), clean_pass=1 / 6)
    world = Simulation(times=times, block_frames=4, first_block_frames=4, axes=True, late=True).run(120.0)
    held = world.held
    assert 0 < held <= 10
    world.run(600.0)
    assert world.held <= held + 4
    assert world.percentile(50) <= 325


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
