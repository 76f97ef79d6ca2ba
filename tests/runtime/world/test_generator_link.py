"""Frames decoded beside the next block's step: what is asked for when, and what stays in order."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fakes import FakeConfig, FakeModel
from stage import Stage

from longtake.model.interface import Conditioning
from longtake.protocol.generator_messages import (
    GenBlock,
    GenClose,
    GenDone,
    GenError,
    GenOpen,
    GenRestore,
    GenSaved,
    GenSnapshot,
    GenStep,
    GenStepped,
)
from longtake.runtime.generator.worker import Worker
from longtake.runtime.world.effects import Requester
from longtake.runtime.world.reports import status

STEP = {"world": "w", "generation": 0}


def beside(**config: Any) -> Stage:
    return Stage(decodes_beside=True, **config)


def run(stage: Stage, ticks: int) -> None:
    """Go through deadlines; frames come one deadline after their block's step."""
    for _ in range(ticks):
        waiting = len(stage.decoding)
        stage.run(1)
        stage.decoded(waiting)
        stage.work()


# --- the server's side -------------------------------------------------------------------------------------------


def test_the_next_step_is_asked_for_before_the_frames_are_there() -> None:
    stage = beside().open()
    # Promised frames count as lead: one block and another one, and no third.
    assert [step.block for step in stage.commands(GenStep)] == [0, 1]
    assert (stage.world.playback.lead, stage.world.plan.awaiting_decode) == (0, [0, 1])
    stage.decoded()
    stage.work()
    assert len(stage.commands(GenStep)) == 2
    assert (stage.world.playback.lead, stage.world.plan.awaiting_decode) == (4, [1])


def test_a_take_is_the_same_whenever_its_frames_come() -> None:
    alone, other = Stage(seed=4).open(), beside(seed=4).open()
    other.decoded()
    for stage in (alone, other):
        stage.world.cue("prompt", "a fox", at_tick=16, cut_in=False, request=1, now=stage.clock.now())
    alone.run(80)
    run(other, 80)
    blocks = len(other.digests)
    assert blocks >= 19
    assert other.digests == alone.digests[:blocks]
    shown = [publish.frame.tick for publish in other.shown if not publish.held]
    assert shown == list(range(len(shown)))


def test_no_more_than_two_blocks_are_promised() -> None:
    stage = beside(mode="offline").open()
    stage.world.lead.most_frames = 1000
    for _ in range(3):
        stage.work()
    assert stage.world.plan.awaiting_decode == [0, 1]
    assert not stage.world.link.free


def test_lockstep_makes_what_was_asked_for_and_no_more() -> None:
    stage = beside(mode="lockstep").open()
    stage.world.advance(8, Requester(client="me", request=2), stage.clock.now())
    stage.work()
    assert [step.block for step in stage.commands(GenStep)] == [0, 1]
    stage.decoded(2)
    stage.show()
    assert [step.block for step in stage.commands(GenStep)] == [0, 1]
    assert stage.ticks == list(range(8))


def test_a_reset_forgets_what_is_promised() -> None:
    stage = beside().open()
    stage.world.reset(None)
    stage.decoding.clear()
    stage.work()
    stage.decoded()
    stage.run(1)
    assert stage.ticks == [0]
    assert stage.shown[0].generation == 1


def test_frames_of_an_older_generation_are_dropped() -> None:
    stage = beside().open()
    old = stage.decoding.copy()
    stage.world.reset(None)
    for answer, data in old:
        stage.deliver(answer, data)
    assert stage.world.playback.lead == 0


def test_frames_that_never_come_are_made_again() -> None:
    stage = beside(seed=4).open()
    stage.decoded()
    stage.run(4)
    assert stage.world.plan.awaiting_decode
    stage.decoding.clear()
    stage.die()
    stage.revive()
    stage.decoded(9)
    run(stage, 24)
    alone = Stage(seed=4).open()
    alone.run(40)
    blocks = len(stage.digests)
    assert blocks >= 6
    assert stage.digests == alone.digests[:blocks]


def test_the_load_is_the_turns_and_the_lead_is_told_the_whole_wait() -> None:
    stage = beside().open()
    stage.clock.time += 0.4
    stage.decoded()
    lead = stage.world.lead
    assert lead.turn_s.median() == 0.1
    assert lead.block_s.median() == pytest.approx(0.4)
    assert stage.world.load() == 0.1 * 16 / 4
    told = status(stage.world, stage.clock.now(), members=1, recording="", generator="ready")
    assert told.block_ms == 100


# --- the generator's side ----------------------------------------------------------------------------------------


class Gate(FakeModel):
    """Frames come when the gate is open."""

    def __init__(self) -> None:
        super().__init__(config=FakeConfig(decode_s=0.001))
        self.open_gate = threading.Event()
        self.broken = False

    def read(self, frames: Any) -> tuple[dict[str, str], dict[str, float]]:
        assert self.open_gate.wait(20)
        if self.broken:
            raise ValueError("no such colour")
        return super().read(frames)


@contextmanager
def desk(model: Gate) -> Iterator[tuple[Worker, list[Any]]]:
    answers: list[Any] = []
    worker = Worker({"fake": model}, lambda message, part=None: answers.append(message))
    worker.carry_out(GenOpen(**STEP, model="fake", seed=1, prompt="x", readings=True), b"")
    answers.clear()
    try:
        yield worker, answers
    finally:
        model.open_gate.set()
        worker.close()


def until(answers: list[Any], count: int) -> None:
    limit = time.monotonic() + 20
    while len(answers) < count:
        assert time.monotonic() < limit, answers
        time.sleep(0.001)


def test_the_worker_goes_on_while_frames_are_decoded() -> None:
    model = Gate()
    with desk(model) as (worker, answers):
        for block in range(2):
            assert worker.carry_out(GenStep(**STEP, block=block, prompt="y" if block else None), b"")
        assert [(type(answer), answer.block) for answer in answers] == [(GenStepped, 0), (GenStepped, 1)]
        assert answers[1].step_ms >= 0
        model.open_gate.set()
        until(answers, 4)
        assert [(type(answer), answer.block) for answer in answers[2:]] == [(GenBlock, 0), (GenBlock, 1)]
        assert answers[2].timings_ms["recache"] == 0
        assert answers[3].timings_ms["recache"] > 0


def test_nothing_overtakes_frames() -> None:
    model = Gate()
    with desk(model) as (worker, answers):
        worker.carry_out(GenStep(**STEP, block=0), b"")
        threading.Timer(0.05, model.open_gate.set).start()
        worker.carry_out(GenSnapshot(**STEP), b"")
        worker.carry_out(GenStep(**STEP, block=1), b"")
        worker.carry_out(GenClose(**STEP), b"")
        assert [type(answer) for answer in answers] == [GenStepped, GenBlock, GenSaved, GenStepped, GenBlock, GenDone]


def test_frames_that_cannot_be_made_are_an_error_until_the_world_is_brought_back() -> None:
    model = Gate()
    model.broken = True
    with desk(model) as (worker, answers):
        snapshot = model.snapshot(model.open(seed=1, conditioning=Conditioning(prompt="x"))).to_bytes()
        worker.carry_out(GenStep(**STEP, block=0), b"")
        worker.carry_out(GenStep(**STEP, block=1), b"")
        model.open_gate.set()
        until(answers, 3)
        assert isinstance(answers[2], GenError)
        assert answers[2].message == "no such colour"
        model.broken = False
        # These may wait in the mailbox when the frames fail. A second error would be taken for a failed restore.
        worker.carry_out(GenStep(**STEP, block=2), b"")
        worker.carry_out(GenSnapshot(**STEP), b"")
        assert len(answers) == 3
        worker.carry_out(GenRestore(**STEP, model="fake", readings=True), snapshot)
        worker.carry_out(GenStep(**STEP, block=0), b"")
        until(answers, 6)
        assert [type(answer) for answer in answers[3:]] == [GenDone, GenStepped, GenBlock]


def test_a_step_that_fails_while_frames_are_decoded_is_one_error() -> None:
    class Failing(Gate):
        def step(self, world: Any) -> Any:
            if world.block == 1:
                raise ValueError("a hiccup")
            return super().step(world)

    model = Failing()
    model.broken = True
    with desk(model) as (worker, answers):
        worker.carry_out(GenStep(**STEP, block=0), b"")
        worker.carry_out(GenStep(**STEP, block=1), b"")
        assert answers[1].message == "a hiccup"
        model.open_gate.set()
        worker.carry_out(GenClose(**STEP), b"")
        assert [type(answer) for answer in answers] == [GenStepped, GenError, GenDone]


def test_a_device_poisoned_by_the_decoder_ends_the_process() -> None:
    class Poisoned(Gate):
        def read(self, frames: Any) -> tuple[dict[str, str], dict[str, float]]:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")

    with desk(Poisoned()) as (worker, answers):
        worker.carry_out(GenStep(**STEP, block=0), b"")
        until(answers, 2)
        assert answers[1].fatal
        assert not worker.carry_out(GenClose(**STEP), b"")
