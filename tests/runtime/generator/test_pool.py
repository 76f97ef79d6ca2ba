"""A pool of two generators: worlds are spread, and the loss of one generator concerns its own worlds only."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import zmq
from fakes import FakeModel

from longtake.clients.session import Session
from longtake.runtime.generator.hosts import GeneratorHostConfig
from longtake.runtime.generator.loop import run_generator
from longtake.runtime.generator.pool import GeneratorPool
from longtake.runtime.server.local import LocalServer, server_thread
from longtake.runtime.server.loop import ServerConfig
from tests.reach import reach


class Doomed(FakeModel):
    """Its device breaks when the test says so."""

    doomed = False

    def step(self, world: Any) -> Any:
        if self.doomed:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return super().step(world)


class DoomedHost:
    """A generator in a thread, whose model the test can reach."""

    transport = "tcp"

    def __init__(self) -> None:
        self.context = zmq.Context()
        self.starts = 0
        self.model = Doomed()
        self.may_start = threading.Event()
        self.may_start.set()
        self.thread = threading.Thread()

    def start(self, endpoint: str) -> None:
        self.starts += 1
        self.model = Doomed()
        self.thread = threading.Thread(target=self._run, args=(endpoint, self.model), daemon=True)
        self.thread.start()

    def _run(self, endpoint: str, model: Doomed) -> None:
        def load() -> dict[str, Any]:
            self.may_start.wait(20)
            return {"fake": model}

        run_generator(context=self.context, endpoint=endpoint, load=load, pid=0, threads=1, check=lambda _: None)

    def alive(self) -> bool:
        return self.thread.is_alive()

    def end(self, patience_s: float) -> None:
        self.thread.join(max(patience_s, 1.0))


def wait_for(condition: Callable[[], bool]) -> None:
    until = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.fixture
def hosts() -> Iterator[list[DoomedHost]]:
    both = [DoomedHost(), DoomedHost()]
    yield both
    for host in both:
        host.context.term()


@pytest.fixture
def server(hosts: list[DoomedHost], tmp_path: Path) -> Iterator[LocalServer]:
    config = ServerConfig(
        endpoint=f"inproc://pool-{tmp_path.name}",
        takes=tmp_path,
        snapshot_every_s=0.0,
        generator=GeneratorHostConfig(models=("fake",), factory="fakes:load"),
    )
    with server_thread(config, hosts=hosts) as local:
        assert local.server is not None
        pool = local.server.pool
        wait_for(lambda: all(generator.state == "ready" for generator in pool.generators))
        yield local


def test_worlds_are_spread_and_a_loss_concerns_only_its_own(server: LocalServer, hosts: list[DoomedHost]) -> None:
    assert server.server is not None
    generators = server.server.pool.generators
    with Session.connect(reach(server)) as session:
        assert [model.name for model in session.models] == ["fake"], "offered by both, listed once"
        first, second, third = (
            session.open("fake", prompt="a red balloon", seed=seed, mode="lockstep", delivery="every")
            for seed in (1, 2, 1)
        )
        room_of = server.server.worlds.find
        assert [room_of(world.name).generator for world in (first, second, third)] == [*generators, generators[0]]
        before = first.advance(8) + first.advance(8)
        second.advance(8)
        hosts[0].may_start.clear()
        hosts[0].model.doomed = True
        waiting = threading.Thread(target=lambda: before.extend(first.advance(8)))
        waiting.start()
        first.wait(lambda w: any(notice.kind == "generator_lost" for notice in w.notices), "the loss", 20)
        assert len(second.advance(40)) == 40, "the other generator goes on"
        assert waiting.is_alive(), "this world is held"
        hosts[0].may_start.set()
        waiting.join(20)
        first.wait(lambda w: any(notice.kind == "generator_back" for notice in w.notices), "the return", 20)
        assert list(second.notices) == []
        assert [host.starts for host in hosts] == [2, 1]
        # the third world has the first one's seed: what the loss did not touch and what it did are the same frames
        assert [p.pixels.tobytes() for p in third.advance(24)] == [p.pixels.tobytes() for p in before]


def test_a_new_world_goes_where_a_generator_is_ready(server: LocalServer, hosts: list[DoomedHost]) -> None:
    assert server.server is not None
    generators = server.server.pool.generators
    with Session.connect(reach(server)) as session:
        first = session.open("fake", prompt="x", mode="lockstep", delivery=None)
        hosts[0].may_start.clear()
        hosts[0].model.doomed = True
        first.control("advance", ticks=4)
        first.wait(lambda w: any(notice.kind == "generator_lost" for notice in w.notices), "the loss", 20)
        for _ in range(2):
            world = session.open("fake", prompt="x", mode="lockstep", delivery=None)
            assert server.server.worlds.find(world.name).generator is generators[1]
        hosts[0].may_start.set()
        # a generator that is still starting when the server ends would never be told to stop
        wait_for(lambda: generators[0].state == "ready")


def test_a_pool_needs_a_generator() -> None:
    with pytest.raises(ValueError, match="at least one"):
        GeneratorPool([])
