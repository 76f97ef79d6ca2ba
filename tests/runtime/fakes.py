"""A small world model for the engine's tests: numpy only, deterministic, and it can be slow, fail or die.

Every pixel follows from (seed, block, prompt, actions, what the block before was), so a lost, doubled or reordered step
changes every later frame. `load` is the factory, `fakes:load`. With it a clock, and a stage for one world.
"""

import hashlib
import json
import os
import signal
import time
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from longtake.model.interface import Axis, Conditioning, ModelInfo, World
from longtake.protocol import messages
from longtake.protocol.generator_messages import GenBlock, GenCued, GenDone, GenError, GenSaved, GenStepped
from longtake.protocol.messages import Message
from longtake.runtime.generator.worker import Worker, announced
from longtake.runtime.takes.file import TakeBlock, TakeRecord
from longtake.runtime.world.config import WorldConfig
from longtake.runtime.world.effects import Answer, Command, Publish, Record, Requester, Tell
from longtake.runtime.world.running_world import RunningWorld

HEIGHT, WIDTH, FPS = 12, 20, 16
AXES = (Axis(name="speed"), Axis(name="lift", low=-0.5, high=0.5), Axis(name="horn", low=0.0, button=True))


@dataclass(frozen=True, kw_only=True)
class FakeConfig:
    """How the fake behaves; from the environment variable LONGTAKE_FAKE (JSON) in a process."""

    block_frames: int = 4
    first_block_frames: int = 4
    height: int = HEIGHT
    width: int = WIDTH
    step_s: float = 0.0
    cue_s: float = 0.0
    snapshots: bool = True
    readings: bool = True
    fail_at: int = -1
    """this block fails once"""
    decode_s: float = 0.0
    """if more than nothing, frames are made beside what comes next"""
    decode_fails_at: int = -1
    """the frames of this block cannot be had, once"""
    fail_to_load: str = ""
    open_s: float = 0.0
    load_s: float = 0.0
    axes: bool = False
    """it takes input: two sticks and a button"""


@dataclass(kw_only=True)
class FakeWorld:
    seed: int
    prompt: str
    block: int = 0
    past: str = ""
    actions: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FakeBlock:
    index: int
    first_frame: int
    pixels: Any
    timings_ms: dict[str, float]
    decode_s: float = 0.0
    broken: bool = False

    @property
    def overlaps(self) -> bool:
        return self.decode_s > 0

    @property
    def step_ms(self) -> dict[str, float]:
        return self.timings_ms

    @property
    def frames(self) -> Any:
        time.sleep(self.decode_s)
        if self.broken:
            raise ValueError("these frames cannot be decoded")
        return self.pixels


@dataclass(frozen=True, kw_only=True)
class FakeSnapshot:
    world: FakeWorld

    @property
    def block(self) -> int:
        return self.world.block

    def to_bytes(self) -> bytes:
        return json.dumps(vars(self.world)).encode()


@dataclass(kw_only=True)
class FakeModel:
    """The verbs of a world model. The prompt "die" kills the process at its step, "fail" raises every time."""

    name: str = "fake"
    config: FakeConfig = field(default_factory=FakeConfig)
    encoded: list[str] = field(default_factory=list)
    closed: int = 0

    @property
    def info(self) -> ModelInfo:
        config = self.config
        capabilities = ("snapshot",) * config.snapshots + ("reading",) * config.readings + ("actions",) * config.axes
        return ModelInfo(
            name=self.name,
            height=self.config.height,
            width=self.config.width,
            fps=FPS,
            block_frames=self.config.block_frames,
            first_block_frames=self.config.first_block_frames,
            window_blocks=9,
            capabilities=capabilities,
            axes=AXES * config.axes,
            weights="fake",
            device="cpu",
            precision="uint8",
        )

    @property
    def announced(self) -> messages.ModelInfo:
        """What the server says of it."""
        return announced(self.info)

    def open(self, *, seed: int, conditioning: Conditioning) -> FakeWorld:
        time.sleep(self.config.open_s)
        prompt = conditioning.prompt
        if prompt == "too big":
            raise MemoryError("a world of this model needs 3 GB, 1 GB is free")
        return FakeWorld(seed=seed, prompt=prompt, actions=conditioning.actions)

    def prepare(self, conditioning: Conditioning) -> None:
        self.encoded.append(conditioning.prompt)

    def cue(self, world: World, conditioning: Conditioning) -> None:
        own(world).actions = conditioning.actions
        if own(world).prompt != conditioning.prompt:
            time.sleep(self.config.cue_s)
            own(world).prompt = conditioning.prompt

    def step(self, world: World) -> FakeBlock:
        world = own(world)
        if world.prompt == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if world.prompt == "fail":
            raise ValueError("this prompt cannot be shown")
        if world.block == self.config.fail_at:
            self.config = replace(self.config, fail_at=-1)
            raise ValueError("a hiccup")
        time.sleep(self.config.step_s)
        made = self.block_of(world)
        if world.block == self.config.decode_fails_at:
            self.config = replace(self.config, decode_fails_at=-1)
            made = replace(made, broken=True)
        world.past = hashlib.blake2b(made.pixels.tobytes(), digest_size=8).hexdigest()
        world.block += 1
        return made

    def block_of(self, world: FakeWorld) -> FakeBlock:
        config = self.config
        count = config.first_block_frames if world.block == 0 else config.block_frames
        first = 0 if world.block == 0 else config.first_block_frames + (world.block - 1) * config.block_frames
        key = f"{world.seed}/{world.block}/{world.prompt}/{world.actions}/{world.past}".encode()
        seed = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little")
        shape = (1, count, config.height, config.width, 3)
        frames = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
        return FakeBlock(
            index=world.block,
            first_frame=first,
            pixels=frames,
            timings_ms={"denoise": 1.0},
            decode_s=config.decode_s,
        )

    def read(self, frames: npt.ArrayLike) -> tuple[dict[str, str], dict[str, float]]:
        return {"place": f"p{int(np.asarray(frames)[0, 0, 0, 0]) % 4}"}, {"place": 0.5}

    def snapshot(self, world: World, exact: bool = False) -> FakeSnapshot:
        return FakeSnapshot(world=replace(own(world)))

    def restore(self, data: bytes) -> FakeWorld:
        fields = json.loads(data)
        return FakeWorld(**{**fields, "actions": tuple(fields["actions"])})

    def close(self, world: World) -> None:
        self.closed += 1


def own(world: World) -> FakeWorld:
    assert isinstance(world, FakeWorld)
    return world


def load(name: str, *, device: str, precision: str, threads: int) -> FakeModel:
    """The factory for the registry."""
    config = FakeConfig(**json.loads(os.environ.get("LONGTAKE_FAKE", "{}")))
    time.sleep(config.load_s)
    if config.fail_to_load:
        raise RuntimeError(config.fail_to_load)
    return FakeModel(name=name, config=config)


class FullDisk:
    """A writer on a disk that is full after some records."""

    room = 2

    def __init__(self, path: Path) -> None:
        self.path = path
        self.records = 0

    def write(self, *records: object) -> None:
        self.records += len(records)
        if self.records > self.room:
            raise OSError(28, "No space left on device")

    def close(self) -> None:
        raise OSError(28, "No space left on device")


class FakeClock:
    """A clock that stands still until it is moved; sleeping moves it."""

    def __init__(self, now: float = 1000.0) -> None:
        self.time = now
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


class FakeGenerator:
    """Drives a `RunningWorld` without processes: carries its commands out on a `FakeModel`, when told to."""

    def __init__(self, model: FakeModel) -> None:
        self.model = model
        self.sent: list[tuple[Message, Any]] = []
        self.answers: list[tuple[Message, Any]] = []
        self.worker = Worker({model.name: model}, self._answer)

    def _answer(self, message: Message, part: Any = None) -> None:
        self.answers.append((message, memoryview(part).cast("B") if part is not None else None))


class Stage:
    """A world, a fake generator and a fake clock; what the world leaves behind is sorted into lists."""

    def __init__(self, *, model: FakeModel | None = None, decodes_beside: bool = False, **config: Any) -> None:
        """`decodes_beside`: a step is announced at once, and its frames are `decoding` until `decoded`."""
        self.clock = FakeClock()
        self.generator = FakeGenerator(model or FakeModel())
        config.setdefault("prompt", "a red balloon")
        self.world = RunningWorld(WorldConfig(name="w1", model=self.generator.model.announced, **config))
        self.shown: list[Publish] = []
        self.told: list[Message] = []
        self.answered: list[Message] = []
        self.records: list[TakeRecord] = []
        self.alive = True
        self.decodes_beside = decodes_beside
        self.decoding: list[tuple[Message, Any]] = []

    def open(self) -> "Stage":
        """Open the world in the generator."""
        self.world.open(Requester(client="me", request=1))
        self.work()
        return self

    def work(self) -> None:
        """Carry out commands and give turns until the world wants no more."""
        self.carry_out()
        while self.alive and self.world.wants_turn(self.clock.now()):
            self.command(self.world.next_command(self.clock.now()), None)

    def command(self, message: Message, part: Any) -> None:
        """Let the generator carry out one command and hand its answers over."""
        if not self.alive:
            return
        self.generator.sent.append((message, part))
        self.generator.worker.carry_out(message, part or b"")
        for answer, data in self.take_answers():
            if isinstance(answer, GenBlock) and self.decodes_beside:
                self.decoding.append((answer, data))
                fields = {name: getattr(answer, name) for name in ("world", "generation", "block")}
                self.deliver(GenStepped(**fields, step_ms=100.0), None)
                continue
            # as the worker does: nothing overtakes frames
            self.decoded(len(self.decoding))
            self.deliver(answer, data)
        self.carry_out()

    def decoded(self, blocks: int = 1) -> None:
        """Hand the frames of the oldest blocks that are being decoded over."""
        for answer, data in self.decoding[:blocks]:
            self.deliver(answer, data)
        del self.decoding[:blocks]

    def take_answers(self) -> list[tuple[Message, Any]]:
        answers, self.generator.answers = self.generator.answers, []
        return answers

    def deliver(self, message: Message, data: Any) -> None:
        """Hand one of the generator's messages to the world."""
        if isinstance(message, GenBlock):
            self.world.block_made(message, data, self.clock.now())
        elif isinstance(message, GenStepped):
            self.world.denoised(message)
        elif isinstance(message, GenCued):
            self.world.cued(message)
        elif isinstance(message, GenSaved):
            self.world.saved(message, bytes(data))
        elif isinstance(message, GenDone):
            self.world.command_done(message)
        elif isinstance(message, GenError):
            self.world.failed(message)

    def carry_out(self) -> None:
        """Sort the world's effects."""
        while self.world.effects:
            effects, self.world.effects[:] = list(self.world.effects), []
            for effect in effects:
                if isinstance(effect, Publish):
                    self.shown.append(effect)
                elif isinstance(effect, Tell):
                    self.told.append(effect.message)
                elif isinstance(effect, Answer):
                    self.answered.append(effect.message)
                elif isinstance(effect, Record):
                    self.records.append(effect.record)
                elif isinstance(effect, Command):
                    self.command(effect.message, effect.part)

    def show(self) -> None:
        """Show what is due now, then let the generator work."""
        while self.world.service(self.clock.now()):
            self.carry_out()
        self.carry_out()
        self.work()

    def run(self, ticks: int) -> None:
        """Go through that many deadlines, and the turns before them."""
        for _ in range(ticks):
            deadline = self.world.deadline
            assert deadline is not None, "nothing is scheduled"
            while (turn_at := self.world.pacing.turn_at) is not None and self.clock.time < turn_at < deadline:
                self.clock.time = turn_at
                self.work()
                if not self.alive:
                    break
            self.clock.time = max(self.clock.time, deadline)
            self.show()

    def advance(self, ticks: int) -> None:
        """Lockstep: show that many frames."""
        self.world.advance(ticks, Requester(client="me", request=2), self.clock.now())
        self.play_out()

    def play_out(self) -> None:
        """Show everything that runs still ask for, without a clock (lockstep)."""
        while self.alive and self.world.playback.asked:
            before = len(self.shown)
            self.work()
            self.show()
            assert len(self.shown) > before, "the world shows nothing more"

    @property
    def digests(self) -> list[str]:
        return [record.digest for record in self.world.chronicle.records() if isinstance(record, TakeBlock)]

    @property
    def ticks(self) -> list[int]:
        return [shown.frame.tick for shown in self.shown]

    def of(self, kind: type[Any]) -> list[Any]:
        """What members were told or clients were answered, of one kind."""
        return [message for message in self.told + self.answered if isinstance(message, kind)]

    def commands(self, kind: type[Any]) -> list[Any]:
        return [message for message, _ in self.generator.sent if isinstance(message, kind)]

    def die(self) -> None:
        """Lose the generator, with everything in it."""
        self.alive = False
        self.world.generator_lost()
        self.carry_out()

    def revive(self) -> None:
        """Start an empty generator."""
        self.generator.worker = Worker({self.generator.model.name: self.generator.model}, self.generator._answer)
        self.alive = True
        self.world.generator_back()
        self.work()
