"""A generator behind the verbs of `longtake.model.interface.WorldModel`: what every loader here returns."""

from typing import TypeAlias

import numpy.typing as npt
import torch

from longtake.model.diorama.probe import Probe
from longtake.model.errors import ConfigError, WorldError
from longtake.model.generation.block import Block
from longtake.model.generation.generator import Generator
from longtake.model.generation.snapshot import Snapshot
from longtake.model.generation.world import World
from longtake.model.interface.world_model import Conditioning, ModelInfo
from longtake.model.interface.world_model import World as AnyWorld
from longtake.model.room import check_room

Frames: TypeAlias = torch.Tensor | npt.ArrayLike


class LoadedModel:
    """A generator with its description and its probe."""

    def __init__(self, generator: Generator, info: ModelInfo, probe: Probe | None) -> None:
        self.generator, self.info, self.probe = generator, info, probe

    def open(self, *, seed: int, conditioning: Conditioning) -> World:
        """Start a take. Raises MemoryError with the figures if its GPU has no room for it."""
        check_room(self.generator.config, self.generator.backend, self.generator.caches.graphs_bytes)
        return self.generator.open(seed=seed, prompt=conditioning.prompt, actions=conditioning.actions)

    def prepare(self, conditioning: Conditioning) -> None:
        """Encode a prompt ahead of its cue."""
        self.generator.encode(conditioning.prompt)

    def cue(self, world: AnyWorld, conditioning: Conditioning) -> None:
        """Make the next blocks under `conditioning`; a new prompt is followed by a recache, new actions are not."""
        self._cue(_own(world), conditioning, late=False)

    def cue_late(self, world: AnyWorld, conditioning: Conditioning) -> None:
        """Make the next blocks under `conditioning`; a new prompt's recache comes after the next block."""
        self._cue(_own(world), conditioning, late=True)

    def _cue(self, world: World, conditioning: Conditioning, *, late: bool) -> None:
        self.generator.steer(world, conditioning.actions)
        if world.prompt.texts != (conditioning.prompt,) * world.batch:
            self.generator.cue(world, conditioning.prompt, late=late)
            self._synchronize()

    def _synchronize(self) -> None:
        """The runtime measures recaches, and plans with them."""
        if self.generator.device.type == "cuda":
            torch.cuda.synchronize(self.generator.device)

    def catch_up(self, world: AnyWorld) -> None:
        """Rebuild the window after the first block of a late cue."""
        self.generator.catch_up(_own(world))
        self._synchronize()

    def step(self, world: AnyWorld) -> Block:
        """Make the next block."""
        return self.generator.step(_own(world))

    def settle(self, world: AnyWorld) -> None:
        """Run the last block's clean pass, and return when it is done: the runtime plans with the time it takes."""
        self.generator.settle(_own(world))
        if self.generator.device.type == "cuda":
            torch.cuda.current_stream(self.generator.device).synchronize()

    def snapshot(self, world: AnyWorld, exact: bool = False) -> Snapshot:
        """Save a world."""
        return self.generator.snapshot(_own(world), exact)

    def restore(self, data: bytes) -> World:
        """Return a world from a snapshot's bytes."""
        return self.generator.restore(Snapshot.from_bytes(data, self.generator.config))

    def close(self, world: AnyWorld) -> None:
        """Free a world's memory."""
        self.generator.close(_own(world))

    def read(self, frames: Frames) -> tuple[dict[str, str], dict[str, float]]:
        """Return what the probe sees in frames `[n, H, W, 3] uint8`: label and confidence for each kind."""
        if self.probe is None:
            raise ConfigError(f"model {self.info.name} has no probe; open the world without readings")
        reading = self.probe.read(torch.as_tensor(frames))
        return reading.labels, reading.confidence


def _own(world: AnyWorld) -> World:
    if not isinstance(world, World):
        raise WorldError(f"a {type(world).__name__} is not a world of this model")
    return world
