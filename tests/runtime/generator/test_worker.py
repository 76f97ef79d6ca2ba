"""The worker: one answer for every command, whatever the model does."""

import threading
from typing import Any

import numpy as np
import pytest
from fakes import FakeConfig, FakeModel, LateFakeModel

from longtake.model.interface import Conditioning
from longtake.protocol.generator_messages import (
    GenBlock,
    GenClose,
    GenDone,
    GenEncode,
    GenError,
    GenOpen,
    GenRestore,
    GenSaved,
    GenSnapshot,
    GenStep,
    GenStepped,
    GenStop,
)
from longtake.runtime.generator.worker import Worker, digest_of, is_fatal, one_line, pixels_of


class Desk:
    """A worker and what it answered."""

    def __init__(self, model: FakeModel | None = None) -> None:
        self.model = model or FakeModel()
        self.answers: list[Any] = []
        self.parts: list[Any] = []
        self.worker = Worker({"fake": self.model}, self._answer)

    def _answer(self, message: Any, part: Any = None) -> None:
        self.answers.append(message)
        self.parts.append(part)

    def do(self, command: Any, part: bytes = b"") -> Any:
        before = len(self.answers)
        self.goes_on = self.worker.carry_out(command, part)
        assert len(self.answers) <= before + 1
        return self.answers[-1] if len(self.answers) > before else None

    def open(self, prompt: str = "x", generation: int = 0) -> Any:
        return self.do(GenOpen(world="w", generation=generation, model="fake", seed=1, prompt=prompt, readings=True))

    def step(self, block: int, prompt: str | None = None, generation: int = 0) -> Any:
        return self.do(GenStep(world="w", generation=generation, block=block, prompt=prompt))


def test_open_step_close() -> None:
    desk = Desk()
    assert desk.open() == GenDone(world="w", generation=0, command="gen_open")
    block = desk.step(0)
    assert isinstance(block, GenBlock)
    assert (block.block, block.first_tick, block.frames) == (0, 0, 4)
    frames = np.frombuffer(desk.parts[-1], np.uint8).reshape(4, block.height, block.width, 3)
    assert block.digest == digest_of(np.ascontiguousarray(frames))
    assert block.labels
    assert block.timings_ms["recache"] == 0
    cued = desk.step(1, "y")
    assert cued.first_tick == 4
    assert cued.timings_ms["recache"] > 0
    assert desk.model.encoded == ["y"]
    assert desk.do(GenClose(world="w", generation=0)).command == "gen_close"
    assert desk.model.closed == 1


def test_a_snapshot_comes_back_as_the_same_world() -> None:
    desk = Desk()
    desk.open()
    desk.step(0)
    saved = desk.do(GenSnapshot(world="w", generation=0))
    assert isinstance(saved, GenSaved)
    assert saved.block == 1
    data = bytes(desk.parts[-1])
    expected = [desk.step(1).digest, desk.step(2).digest]
    desk.do(GenRestore(world="w", generation=0, model="fake"), data)
    assert [desk.step(1).digest, desk.step(2).digest] == expected


def test_failures_are_answers() -> None:
    desk = Desk()
    assert "not open" in desk.step(0).message
    assert "no model 'other'" in desk.do(GenOpen(world="v", generation=0, model="other", seed=1, prompt="x")).message
    assert desk.open("too big").code == "no_room"
    desk.open(generation=4)
    assert "generation 3 is not open" in desk.step(0, generation=3).message
    assert "instead of block 7" in desk.step(7, generation=4).message
    assert isinstance(desk.do(GenRestore(world="w", generation=4, model="fake"), b"nonsense"), GenError)
    assert desk.goes_on


def test_opening_again_forgets_the_old_world() -> None:
    desk = Desk()
    desk.open()
    desk.open(generation=1)
    assert desk.model.closed == 1
    desk.worker.close()
    assert desk.model.closed == 2


def test_stop_ends_it_and_a_poisoned_device_too() -> None:
    desk = Desk()
    assert desk.do(GenStop()) is None
    assert not desk.goes_on

    class Poisoned(FakeModel):
        def step(self, world: Any) -> Any:
            raise RuntimeError("CUDA error: an illegal memory access\nwas encountered")

    desk = Desk(Poisoned(config=FakeConfig()))
    desk.open()
    error = desk.step(0)
    assert error.fatal
    assert "\n" not in error.message
    assert not desk.goes_on


def test_which_errors_poison_the_process() -> None:
    class OutOfMemoryError(RuntimeError):
        pass

    assert is_fatal(RuntimeError("CUDA error: misaligned address"))
    assert not is_fatal(OutOfMemoryError("CUDA out of memory"))
    assert not is_fatal(ValueError("bad prompt"))
    assert one_line(ValueError()) == "ValueError"


def test_prompts_are_encoded_on_the_encoders_thread() -> None:
    threads = []
    done = threading.Event()

    class Slow(FakeModel):
        def prepare(self, conditioning: Conditioning) -> None:
            threads.append((conditioning.prompt, threading.current_thread().name))
            done.set()

    desk = Desk(Slow())
    desk.worker.hint(GenEncode(model="fake", prompt="soon"))
    assert done.wait(10)
    assert threads == [("soon", "generator-encoder")]
    desk.worker.close()


@pytest.mark.parametrize(
    "frames",
    [np.zeros((4, 2, 2, 3), np.uint8), np.zeros((2, 4, 2, 2, 3), np.uint8), np.zeros((1, 4, 2, 2, 3), np.float32)],
)
def test_frames_of_another_layout_are_errors(frames: Any) -> None:
    with pytest.raises(ValueError, match="uint8, not"):
        pixels_of(frames)


def test_after_a_late_cue_the_frames_leave_before_the_recache() -> None:
    model = LateFakeModel(config=FakeConfig(late=True, cue_s=0.02))
    desk = Desk(model)
    desk.open()
    desk.step(0)
    desk.worker.carry_out(GenStep(world="w", generation=0, block=1, prompt="y", late=True), b"")
    block, stepped = desk.answers[-2:]
    assert isinstance(block, GenBlock)
    assert isinstance(stepped, GenStepped)
    assert block.stepped
    assert block.timings_ms["recache"] == 0
    assert stepped.recache_ms >= 20
    assert stepped.step_ms < stepped.recache_ms + 20
    assert model.catching_up == 1
    after = desk.step(2)
    assert after.timings_ms["recache"] == 0, "it is not counted twice"


def test_a_late_cue_needs_a_model_that_can() -> None:
    desk = Desk()
    desk.open()
    desk.step(0)
    error = desk.do(GenStep(world="w", generation=0, block=1, prompt="y", late=True))
    assert isinstance(error, GenError)
    assert "recached after its block, which fake cannot" in error.message
