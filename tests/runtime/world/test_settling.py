"""Models that finish a block after its frames have left: the worker's order, and what the server makes of it."""

import threading
from typing import Any

import pytest
from fakes import FakeBlock, FakeModel, own
from stage import Stage

from longtake.protocol.generator_messages import GenBlock, GenError, GenOpen, GenRestore, GenStep, GenStepped
from longtake.runtime.generator.worker import Worker

STEP: dict[str, Any] = {"world": "w", "generation": 0}


class Settling(FakeModel):
    """Leaves work after every step, and tells what it did when."""

    def __init__(self) -> None:
        super().__init__()
        self.done: list[Any] = []
        self.breaks = 0
        """so many times it fails from now on"""

    def step(self, world: Any) -> FakeBlock:
        assert self.done.count("step") == self.done.count("settle"), "the last block was never finished"
        self.done.append("step")
        return super().step(world)

    def settle(self, world: Any) -> None:
        assert own(world).block > 0
        self.done.append("settle")
        if self.breaks:
            self.breaks -= 1
            raise ValueError("it cannot be finished")


def messages_of(model: Settling, blocks: int) -> list[Any]:
    """What a worker says of some steps; the model's notes come between its messages."""
    worker = Worker({"fake": model}, lambda message, part=None: model.done.append(message))
    worker.carry_out(GenOpen(**STEP, model="fake", seed=1, prompt="x"), b"")
    model.done.clear()
    for block in range(blocks):
        worker.carry_out(GenStep(**STEP, block=block), b"")
    worker.close()
    return [each if isinstance(each, str) else type(each) for each in model.done]


def test_the_frames_leave_before_the_rest_of_the_block_is_done() -> None:
    model = Settling()
    assert messages_of(model, 2) == ["step", GenBlock, "settle", GenStepped] * 2
    block, stepped = model.done[1], model.done[3]
    assert block.stepped
    assert stepped.block == block.block
    assert stepped.step_ms >= block.timings_ms["total"]


def test_frames_that_are_decoded_beside_it_leave_whenever_they_are_ready() -> None:
    settled = threading.Event()

    class Late(FakeBlock):
        @property
        def overlaps(self) -> bool:
            return True

        @property
        def frames(self) -> Any:
            assert settled.wait(20)
            return self.pixels

    class Beside(Settling):
        def step(self, world: Any) -> FakeBlock:
            return Late(**vars(super().step(world)))

        def settle(self, world: Any) -> None:
            super().settle(world)
            settled.set()

    model = Beside()
    made = messages_of(model, 1)
    assert made[:2] == ["step", "settle"]
    assert sorted(each.__name__ for each in made[2:] if not isinstance(each, str)) == ["GenBlock", "GenStepped"]
    assert all(message.stepped for message in model.done if isinstance(message, GenBlock))


def test_a_model_that_leaves_nothing_says_nothing_more() -> None:
    answers: list[Any] = []
    worker = Worker({"fake": FakeModel()}, lambda message, part=None: answers.append(message))
    worker.carry_out(GenOpen(**STEP, model="fake", seed=1, prompt="x"), b"")
    worker.carry_out(GenStep(**STEP, block=0), b"")
    worker.close()
    assert isinstance(answers[-1], GenBlock)
    assert not answers[-1].stepped


def test_the_server_waits_until_the_generator_is_free_and_learns_both_times() -> None:
    stage = Stage(model=Settling()).open()
    world = stage.world
    stage.run(8)
    assert world.pacing.turn_at is not None
    stage.clock.time = max(stage.clock.time, world.pacing.turn_at)
    step = world.next_command(stage.clock.now())
    assert isinstance(step, GenStep)
    stage.generator.worker.carry_out(step, b"")
    (block, pixels), (stepped, _) = stage.take_answers()
    stage.clock.time += 0.1
    made = world.plan.made
    world.block_made(block, pixels, stage.clock.now())
    assert world.plan.made == made + 1
    assert not world.link.free
    turns = len(world.lead.turn_s)
    assert world.pacing.turn_at is None
    assert world.pacing.takes_cue(stage.clock.now())
    stage.deliver(replace_ms(stepped, 150.0), None)
    assert world.link.free
    assert world.lead.block_s.slowest() == pytest.approx(0.1, abs=0.01)
    assert len(world.lead.turn_s) == len(world.lead.block_s) == turns + 1
    stage.deliver(stepped, None)  # once is enough
    assert world.link.free


def replace_ms(stepped: Any, step_ms: float) -> GenStepped:
    return GenStepped(world=stepped.world, generation=stepped.generation, block=stepped.block, step_ms=step_ms)


@pytest.mark.parametrize("mode", ["live", "lockstep", "offline"])
def test_a_take_is_the_same_as_without(mode: str) -> None:
    digests = []
    for model in (FakeModel(), Settling()):
        stage = Stage(model=model, mode=mode).open()
        for _ in range(6):
            if mode == "lockstep":
                stage.advance(4)
            elif mode == "offline":
                stage.show()
            else:
                stage.run(4)
        digests.append(stage.digests[:5])
    assert len(digests[0]) == 5
    assert digests[0] == digests[1]


def test_a_block_that_cannot_be_finished_is_made_again_from_the_restore_point() -> None:
    model = Settling()
    stage = Stage(model=model, snapshot_every_s=0.5).open()
    stage.run(24)
    wanted = stage.digests
    model.breaks = 1
    stage.run(24)
    assert len(stage.commands(GenRestore)) == 1
    assert stage.world.link.settling is None
    assert stage.world.phase == "ready"
    assert stage.world.playback.tick > 36
    plain = Stage(snapshot_every_s=0.5).open()
    plain.run(48)
    count = min(len(stage.digests), len(plain.digests))
    assert count > len(wanted)
    assert stage.digests[:count] == plain.digests[:count]


def test_a_block_that_can_never_be_finished_closes_the_world() -> None:
    model = Settling()
    stage = Stage(model=model, snapshot_every_s=0.5).open()
    stage.run(24)
    model.breaks = 100
    for _ in range(40):
        if stage.world.phase == "closed":
            break
        stage.run(1)
    assert stage.world.phase == "closed"
    assert "it cannot be finished" in stage.told[-1].text


def test_an_error_after_the_frames_is_told_once() -> None:
    model = Settling()
    model.breaks = 1
    assert messages_of(model, 2) == ["step", GenBlock, "settle", GenError]
