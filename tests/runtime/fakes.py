"""A small world model for the engine's tests: numpy only, deterministic, and it can be slow, fail or die.

Every pixel follows from (seed, block, prompt, actions, what the block before was), so a lost, doubled or reordered step
changes every later frame. `load` and `load_steered` are factories: `fakes:load`. `stage.py` has a clock, and a stage
for one world.
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
from longtake.runtime.generator.worker import announced

HEIGHT, WIDTH, FPS = 12, 20, 16
AXES = (Axis(name="speed"), Axis(name="lift", low=-0.5, high=0.5), Axis(name="horn", low=0.0, button=True))
STICK = (Axis(name="speed"), Axis(name="lift"))


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
    stick: bool = False
    """it takes input: what diorama takes"""
    late: bool = False
    """it can rebuild its past after a new prompt's first block (needs the verbs: see `LateFakeModel`)"""


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
        axes = STICK if config.stick else AXES * config.axes
        capabilities = ("snapshot",) * config.snapshots + ("reading",) * config.readings + ("actions",) * bool(axes)
        capabilities += ("late_recache",) * config.late
        return ModelInfo(
            name=self.name,
            height=self.config.height,
            width=self.config.width,
            fps=FPS,
            block_frames=self.config.block_frames,
            first_block_frames=self.config.first_block_frames,
            window_blocks=9,
            capabilities=capabilities,
            axes=axes,
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


@dataclass(kw_only=True)
class LateFakeModel(FakeModel):
    """A prompt change rebuilds its past under the new prompt, as recaches do, before the block or after it.

    Twice is once, and once is not never.
    """

    config: FakeConfig = field(default_factory=lambda: FakeConfig(late=True, stick=True))
    catching_up: int = 0

    def cue(self, world: World, conditioning: Conditioning) -> None:
        if own(world).prompt != conditioning.prompt:
            self._rebuild(own(world), conditioning.prompt)
        super().cue(world, conditioning)

    def cue_late(self, world: World, conditioning: Conditioning) -> None:
        super().cue(world, conditioning)

    def catch_up(self, world: World) -> None:
        self.catching_up += 1
        time.sleep(self.config.cue_s)
        self._rebuild(own(world), own(world).prompt)

    def _rebuild(self, world: FakeWorld, prompt: str) -> None:
        world.past = world.past.split("|")[0] + "|" + prompt


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


def load_steered(name: str, *, device: str, precision: str, threads: int) -> FakeModel:
    """A model with diorama's axes: the default scenario steers."""
    model = load(name, device=device, precision=precision, threads=threads)
    return replace(model, config=replace(model.config, stick=True))


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
