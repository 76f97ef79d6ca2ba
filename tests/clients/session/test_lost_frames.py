"""A frame connection that is lost: again while it is mended, with frames on their way, and for several worlds."""

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from longtake.clients.session import AsyncSession, Session, World, ZmqTransport
from longtake.protocol.errors import LongtakeError
from longtake.protocol.messages import Frame, FromClientFrames, FromServerFrames, Subscribe
from longtake.protocol.wire import decode
from tests.clients.real_server import RealServer, real_server


class FragileTransport(ZmqTransport):
    """Loses its frame connection whenever a test says so, with everything that is on its way."""

    def __init__(self, endpoint: str) -> None:
        super().__init__(endpoint)
        self.cuts = 0
        """connections to lose, one at each chance"""
        self.cuts_after_subscribe: list[float] = []
        """for each of the next subscriptions: seconds from sending it to losing the connection"""
        self.lost_frames: list[int] = []
        self.lose_from_tick: int | None = None
        """frames from this tick on are lost on their way, and the connection with them"""
        self._announced = ""

    def connect_frames(self, announced: str) -> None:
        self._announced = announced
        super().connect_frames(announced)

    def wait(self, timeout_s: float) -> None:
        if self.cuts:
            self.cuts -= 1
            self.cut()
        super().wait(timeout_s)

    def send_frames(self, data: bytes) -> bool:
        sent = super().send_frames(data)
        if self.cuts_after_subscribe and isinstance(decode(data, FromClientFrames), Subscribe):
            time.sleep(self.cuts_after_subscribe.pop(0))
            self.cut()
        return sent

    def receive_frames(self) -> list[memoryview] | None:
        parts = super().receive_frames()
        if parts is None or self.lose_from_tick is None:
            return parts
        message = decode(parts[0], FromServerFrames)
        if not isinstance(message, Frame) or message.tick < self.lose_from_tick:
            return parts
        self.lost_frames.append(message.tick)
        if not self.cuts:
            self.lose_from_tick, self.cuts = None, 1
        return None

    def cut(self) -> None:
        assert self._frames is not None
        self._poller.unregister(self._frames)
        self._frames.close(linger=0)
        self.connect_frames(self._announced)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RealServer]:
    with real_server(tmp_path, endpoint="tcp://127.0.0.1:0") as server:
        yield server


@pytest.fixture
def fragile(server: RealServer) -> FragileTransport:
    return FragileTransport(server.endpoint)


def opened(session: Session) -> World:
    return session.open(prompt="x", mode="lockstep", delivery="every", buffer_frames=8)


@pytest.mark.parametrize("cuts", [[0.0], [0.3], [0.0, 0.3, 0.0]], ids=str)
def test_a_connection_that_is_lost_again_while_it_is_mended(fragile: FragileTransport, cuts: list[float]) -> None:
    """Cut at once, the subscription is lost; cut later, its answer is."""
    with Session.connect(fragile) as session:
        world = opened(session)
        assert len(world.advance(4)) == 4
        fragile.cuts_after_subscribe[:] = cuts
        fragile.cuts = 1
        assert world.advance(24, timeout_s=15)[-1].header.tick == 27
        assert [picture.header.tick for picture in world.advance(24)] == list(range(28, 52))


def test_the_last_frame_of_an_advance_that_is_lost_on_its_way_comes_again(fragile: FragileTransport) -> None:
    with Session.connect(fragile) as session:
        world = opened(session)
        fragile.lose_from_tick = 3
        ticks = [picture.header.tick for picture in world.advance(4, timeout_s=15)]
        assert fragile.lost_frames == [3]
        assert ticks == [0, 1, 2, 3]
        assert [picture.header.tick for picture in world.advance(4)] == [4, 5, 6, 7]


def test_asyncio_gets_the_last_frame_again_too(fragile: FragileTransport) -> None:
    async def play() -> list[int]:
        async with await AsyncSession.connect(fragile) as session:
            world = await session.open(prompt="x", mode="lockstep", delivery="every", buffer_frames=8)
            fragile.lose_from_tick = 3
            return [picture.header.tick for picture in await world.advance(4, timeout_s=15)]

    assert asyncio.run(play()) == [0, 1, 2, 3]
    assert fragile.lost_frames == [3]


def test_leaving_while_the_connection_is_lost_ends_an_advance(fragile: FragileTransport) -> None:
    with Session.connect(fragile) as session:
        world = opened(session)
        failures: list[BaseException] = []

        def advance() -> None:
            try:
                world.advance(100_000, timeout_s=20)
            except LongtakeError as failure:
                failures.append(failure)

        thread = threading.Thread(target=advance)
        thread.start()
        world.wait(lambda w: w.status is not None and w.status.tick > 0, "the first frame")
        fragile.cuts = 1
        time.sleep(0.2)
        world.leave()
        thread.join(10)
        assert len(failures) == 1


def test_two_worlds_of_a_session_are_both_watched_again(fragile: FragileTransport) -> None:
    with Session.connect(fragile) as session:
        worlds = [opened(session) for _ in range(2)]
        ends: dict[str, int] = {}
        faults: list[Any] = []

        def play(world: World) -> None:
            try:
                for _ in range(6):
                    pictures = world.advance(10, timeout_s=20)
                    ends[world.name] = pictures[-1].header.tick
            except Exception as fault:
                faults.append(fault)

        threads = [threading.Thread(target=play, args=(world,)) for world in worlds]
        for thread in threads:
            thread.start()
        for _ in range(4):
            time.sleep(0.2)
            fragile.cuts += 1
        for thread in threads:
            thread.join(60)
        assert not faults
        assert ends == {world.name: 59 for world in worlds}
