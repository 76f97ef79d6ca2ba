"""The asyncio session: the same behaviour, and the loop is never blocked."""

import asyncio

import pytest

from longtake.clients.session import AsyncSession, ConnectionState
from longtake.protocol import messages as m
from longtake.protocol.errors import Refused, RequestTimeout, WorldClosed
from tests.clients.fake_server import FakeServer
from tests.reach import reach


async def connect(server: FakeServer, **options) -> AsyncSession:
    return await AsyncSession.connect(reach(server), **options)


def test_steering_and_lockstep(fake_server):
    async def play() -> None:
        async with await connect(fake_server) as session:
            assert session.models[0].name == "diorama"
            world = await session.open(mode="lockstep", delivery="every", seed=3, buffer_frames=8)
            assert [p.header.tick for p in await world.advance(30)] == list(range(30))
            acks = await asyncio.gather(*(world.prompt(f"p{n}") for n in range(20)))
            assert [ack.cue for ack in acks] == list(range(1, 21))
            assert (await world.control("reset", seed=4)).generation == world.sync.generation == 1
            assert [entry.world for entry in await session.worlds()] == ["w1"]
            with pytest.raises(Refused, match="no event"):
                await world.event("noon")
            await world.leave()
            with pytest.raises(WorldClosed):
                await world.next_picture(1)
        assert session.state is ConnectionState.CLOSED

    asyncio.run(play())


def test_frames_come_while_other_tasks_run(fake_server):
    async def play() -> None:
        async with await connect(fake_server) as session:
            world = await session.open(delivery="every")

            async def publish() -> None:
                # a task of the same loop: were the wait for a picture to block it, none would ever come
                for _ in range(20):
                    await asyncio.to_thread(fake_server.publish, "w1", 1)

            beside = asyncio.create_task(publish())
            ticks = []
            async for picture in world.frames(30):
                ticks.append(picture.header.tick)
                if len(ticks) == 20:
                    break
            await beside
            assert ticks == list(range(20))

    asyncio.run(play())


def test_waits_end_in_time_and_say_what_for(fake_server):
    async def play() -> None:
        async with await connect(fake_server, request_timeout_s=0.2) as session:
            world = await session.open()
            with pytest.raises(RequestTimeout, match="a picture of w1"):
                await world.next_picture(0.05)
            with pytest.raises(RequestTimeout, match="the moon did not come"):
                await world.wait(lambda w: False, "the moon", 0.05)
            fake_server.silent = True
            with pytest.raises(RequestTimeout, match="no answer to prompt"):
                await world.prompt("x")
            fake_server.silent = False

    asyncio.run(play())


def test_closing_ends_frames_and_a_closed_world_too(fake_server):
    async def play() -> None:
        session = await connect(fake_server)
        first, second = await session.open(delivery="every", mode="lockstep"), await session.open()

        async def count(world) -> int:
            return len([picture async for picture in world.frames(10)])

        watchers = [asyncio.create_task(count(world)) for world in (first, second)]
        await asyncio.sleep(0.05)
        fake_server.tell(m.Notice(world="w1", kind="closed"), "w1")
        assert await asyncio.wait_for(watchers[0], 5) == 0
        await session.close()
        assert await asyncio.wait_for(watchers[1], 5) == 0

    asyncio.run(play())


def test_two_tasks_waiting_for_one_world_both_wake(fake_server):
    async def play() -> None:
        async with await connect(fake_server) as session:
            world = await session.open(delivery=None)
            waits = [asyncio.create_task(world.wait(lambda w: len(w.notices) >= 2, "two notices", 5)) for _ in range(3)]
            for _ in range(2):
                await asyncio.to_thread(fake_server.tell, m.Notice(world="w1", kind="recording"))
            await asyncio.gather(*waits)

    asyncio.run(play())
