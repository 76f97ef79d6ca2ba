"""A small world model for the engine's tests: numpy only, deterministic, and it can be slow, fail or die.

Every pixel follows from (seed, block, prompt, what the block before was), so a lost, doubled or reordered step
changes every later frame. `load` is the factory: `tests.runtime.fakes:load` by path, see `FACTORY`.
"""

import hashlib
import json
import os
import signal
import time
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from longtake.protocol.messages import ModelInfo

HEIGHT, WIDTH, FPS = 12, 20, 16


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
    fail_to_load: str = ""


@dataclass(kw_only=True)
class FakeWorld:
    seed: int
    prompt: str
    block: int = 0
    past: str = ""


@dataclass(frozen=True, kw_only=True)
class FakeBlock:
    index: int
    first_frame: int
    frames: Any
    timings_ms: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class FakeReading:
    labels: dict[str, str]
    confidence: dict[str, float]


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
        capabilities = ["snapshot"] * self.config.snapshots + ["reading"] * self.config.readings
        return ModelInfo(
            name=self.name,
            height=self.config.height,
            width=self.config.width,
            fps=FPS,
            block_frames=self.config.block_frames,
            first_block_frames=self.config.first_block_frames,
            window_blocks=9,
            capabilities=capabilities,
            weights="fake",
            device="cpu",
            precision="uint8",
        )

    def open(self, *, seed: int, prompt: str) -> FakeWorld:
        if prompt == "too big":
            raise MemoryError("a world of this model needs 3 GB, 1 GB is free")
        return FakeWorld(seed=seed, prompt=prompt)

    def encode(self, prompt: str) -> None:
        self.encoded.append(prompt)

    def cue(self, world: FakeWorld, prompt: str) -> None:
        time.sleep(self.config.cue_s)
        world.prompt = prompt

    def step(self, world: FakeWorld) -> FakeBlock:
        if world.prompt == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        if world.prompt == "fail":
            raise ValueError("this prompt cannot be shown")
        if world.block == self.config.fail_at:
            self.config = replace(self.config, fail_at=-1)
            raise ValueError("a hiccup")
        time.sleep(self.config.step_s)
        made = self.block_of(world)
        world.past = hashlib.blake2b(made.frames.tobytes(), digest_size=8).hexdigest()
        world.block += 1
        return made

    def block_of(self, world: FakeWorld) -> FakeBlock:
        config = self.config
        count = config.first_block_frames if world.block == 0 else config.block_frames
        first = 0 if world.block == 0 else config.first_block_frames + (world.block - 1) * config.block_frames
        key = f"{world.seed}/{world.block}/{world.prompt}/{world.past}".encode()
        seed = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "little")
        shape = (1, count, config.height, config.width, 3)
        frames = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
        return FakeBlock(index=world.block, first_frame=first, frames=frames, timings_ms={"denoise": 1.0})

    def read(self, frames: Any) -> FakeReading:
        return FakeReading(labels={"place": f"p{int(frames[0, 0, 0, 0]) % 4}"}, confidence={"place": 0.5})

    def snapshot(self, world: FakeWorld, exact: bool = False) -> FakeSnapshot:
        return FakeSnapshot(world=replace(world))

    def snapshot_from_bytes(self, data: bytes) -> FakeSnapshot:
        return FakeSnapshot(world=FakeWorld(**json.loads(data)))

    def restore(self, snapshot: FakeSnapshot) -> FakeWorld:
        return replace(snapshot.world)

    def close(self, world: FakeWorld) -> None:
        self.closed += 1


def load(name: str, *, device: str, precision: str, threads: int) -> FakeModel:
    """The factory for the registry."""
    config = FakeConfig(**json.loads(os.environ.get("LONGTAKE_FAKE", "{}")))
    if config.fail_to_load:
        raise RuntimeError(config.fail_to_load)
    return FakeModel(name=name, config=config)
