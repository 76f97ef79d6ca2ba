"""Steering by hand through the session: sync and asyncio, against the real server."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from longtake.clients.session import AsyncSession, Session
from longtake.protocol.errors import Refused
from tests.clients.real_server import RealServer, real_server
from tests.reach import reach


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RealServer]:
    with real_server(tmp_path, axes=True) as real:
        yield real


def test_what_is_held_is_in_the_pictures_from_the_acknowledged_tick_on(server: RealServer) -> None:
    with Session.connect(reach(server)) as session:
        assert [axis.name for axis in session.models[0].axes] == ["speed", "lift", "horn"]
        world = session.open(prompt="a fox", mode="lockstep", delivery="every")
        pictures = world.advance(8)
        ack = world.input(speed=1.0)
        pictures += world.advance(8)
        assert (ack.block, ack.tick, ack.axes) == (2, 8, {"speed": 1.0, "lift": 0.0, "horn": 0.0})
        assert [int(picture.pixels[0, 0, 2]) for picture in pictures] == [100] * 8 + [200] * 8
        later = world.input({"speed": -0.5}, at_tick=24)
        assert (later.block, later.tick) == (6, 24)
        pictures = world.advance(16)
        assert [int(picture.pixels[0, 0, 2]) for picture in pictures] == [200] * 8 + [50] * 8
        assert world.input(horn=True).axes == {"speed": -0.5, "lift": 0.0, "horn": 1.0}
        world.close()


@pytest.mark.parametrize("held", [{"speed": 1.5}, {"speed": float("nan")}, {"speed": "1"}, {"speed": True}, {"x": 0.0}])
def test_a_bad_input_is_refused_before_it_is_sent(server: RealServer, held: dict[str, float]) -> None:
    with Session.connect(reach(server)) as session:
        world = session.open(prompt="a fox", mode="lockstep", delivery=None)
        with pytest.raises(Refused, match=r"speed -1 to 1, lift -0\.5 to 0\.5, horn 0 or 1") as error:
            world.input(held)
        assert error.value.code == "invalid"
        assert not server.got["input"]
        world.close()


def test_asyncio(server: RealServer) -> None:
    async def play() -> None:
        async with await AsyncSession.connect(reach(server)) as session:
            world = await session.open(prompt="a fox", mode="lockstep", delivery="every")
            assert (await world.input({"lift": 0.5}, speed=-1.0)).axes == {"speed": -1.0, "lift": 0.5, "horn": 0.0}
            assert [int(picture.pixels[0, 0, 2]) for picture in await world.advance(4)] == [0] * 4
            with pytest.raises(Refused, match="no axis 'throttle'"):
                await world.input(throttle=1.0)
            await world.control("close")

    asyncio.run(play())
