"""The real server for tests of clients, on a small model whose pictures say where a take stands.

A picture's red channel counts the prompts that the world was given since it was opened, its green channel is the
tick, and its blue channel is 90, or with axes 100 times the first one plus 100. What the clients send is recorded in
`got`, by the name of the message.
"""

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import zmq

from longtake.clients.session import Session
from longtake.model.interface import Conditioning, World
from longtake.protocol.messages import FromClient, ModelInfo
from longtake.protocol.wire import decode
from longtake.runtime import GeneratorHostConfig, LocalServer, ServerConfig, server_thread
from longtake.runtime.generator.loop import run_generator
from longtake.runtime.server.limits import Limits
from tests.reach import reach
from tests.runtime.fakes import FakeBlock, FakeConfig, FakeModel, FakeWorld, own

HEIGHT, WIDTH = 16, 24


@dataclass(kw_only=True)
class PaintedWorld(FakeWorld):
    prompts: int = 0


@dataclass(kw_only=True)
class PaintedModel(FakeModel):
    """`labels` is what its probe reads; None reads the light that the newest prompt speaks of."""

    name: str = "diorama"
    config: FakeConfig = field(default_factory=lambda: FakeConfig(height=HEIGHT, width=WIDTH, snapshots=False))
    labels: dict[str, str] | None = None
    _newest: str = ""

    def open(self, *, seed: int, conditioning: Conditioning) -> PaintedWorld:
        self._newest = conditioning.prompt
        return PaintedWorld(seed=seed, prompt=conditioning.prompt, actions=conditioning.actions)

    def cue(self, world: World, conditioning: Conditioning) -> None:
        assert isinstance(world, PaintedWorld)
        world.prompts += conditioning.prompt != world.prompt
        super().cue(world, conditioning)
        self._newest = conditioning.prompt

    def block_of(self, world: FakeWorld) -> FakeBlock:
        assert isinstance(world, PaintedWorld)
        block = super().block_of(own(world))
        ticks = np.arange(block.first_frame, block.first_frame + self.config.block_frames)
        speed = 100 + round(100 * world.actions[0]) if world.actions else 90
        block.pixels[...] = (world.prompts, 0, speed)
        block.pixels[0, ..., 1] = (ticks % 256)[:, None, None]
        return block

    def read(self, frames: npt.ArrayLike) -> tuple[dict[str, str], dict[str, float]]:
        seen = {"time": "night" if "night" in self._newest else "day"}
        return (self.labels if self.labels is not None else seen), {}


class ModelHost:
    """A generator in a thread, for a model that the test holds in its hands."""

    transport = "tcp"

    def __init__(self, model: FakeModel) -> None:
        self._model = model
        self._context = zmq.Context()
        self._thread = threading.Thread()

    def start(self, endpoint: str) -> None:
        self._thread = threading.Thread(target=self._run, args=(endpoint,), daemon=True)
        self._thread.start()

    def _run(self, endpoint: str) -> None:
        run_generator(
            context=self._context,
            endpoint=endpoint,
            load=lambda: {self._model.name: self._model},
            pid=0,
            threads=1,
            check=lambda _: None,
        )

    def alive(self) -> bool:
        return self._thread.is_alive()

    def end(self, patience_s: float) -> None:
        self._thread.join(max(patience_s, 1.0))
        self._context.term()


@dataclass(kw_only=True)
class RealServer:
    """A running server: what a session needs to reach it, its model, and what clients have sent."""

    local: LocalServer
    model: PaintedModel
    got: defaultdict[str, list[Any]]

    @property
    def endpoint(self) -> str:
        return self.local.endpoint

    @property
    def context(self) -> Any:
        return self.local.context

    @property
    def worlds(self) -> list[str]:
        """Names of the running worlds, asked for by a client: whatever was answered before is done by then."""
        with Session.connect(reach(self)) as session:
            return [entry.world for entry in session.worlds()]

    @property
    def info(self) -> ModelInfo:
        return self.model.announced


@contextmanager
def real_server(
    takes: Path, *, heartbeat_s: float = 1.0, limits: Limits | None = None, axes: bool = False, endpoint: str = ""
) -> Iterator[RealServer]:
    """Start a server, without an endpoint over inproc, and stop it at the end; with `axes` its model takes input."""
    model = PaintedModel()
    model.config = replace(model.config, axes=axes)
    config = ServerConfig(
        endpoint=endpoint or f"inproc://real-{takes.name}",
        takes=takes / "takes",
        heartbeat_s=heartbeat_s,
        limits=limits or Limits(),
        generator=GeneratorHostConfig(models=("fake",), factory="tests.runtime.fakes:load"),
    )
    got: defaultdict[str, list[Any]] = defaultdict(list)
    with server_thread(config, hosts=[ModelHost(model)]) as local:
        assert local.server is not None
        requests = local.server._requests
        assert requests is not None
        handle = requests.handle

        def watched(identity: bytes, parts: list[bytes]) -> None:
            message = decode(parts[0], FromClient)
            got[str(type(message).__struct_config__.tag)].append(message)
            handle(identity, parts)

        requests.handle = watched  # type: ignore[method-assign]
        yield RealServer(local=local, model=model, got=got)
