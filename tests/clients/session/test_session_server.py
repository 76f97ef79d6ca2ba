"""The session against the real server and a fake world model, over inproc and loopback TCP."""

import asyncio
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from longtake.clients.session import AsyncSession, ConnectionState, InprocTransport, Session
from longtake.protocol import messages as m
from longtake.protocol.endpoints import frames_connect, parse_connect
from longtake.protocol.errors import ConnectionFailed, Refused, RequestTimeout, WorldClosed
from longtake.protocol.wire import encode
from longtake.runtime.generator.hosts import GeneratorHostConfig
from longtake.runtime.server.local import LocalServer, server_thread
from longtake.runtime.server.loop import ServerConfig
from tests.reach import reach

SCRIPT = m.Script(
    name="train",
    template="a red train at {time}",
    slots=[m.Slot(name="time", default="day", values={"night": "night under stars"})],
    events={"night": m.EventDef(set={"time": "night"}, key="n")},
)


@pytest.fixture(params=["inproc", "tcp"])
def server(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[LocalServer]:
    endpoint = f"inproc://real-{tmp_path.name}" if request.param == "inproc" else "tcp://127.0.0.1:0"
    config = ServerConfig(
        endpoint=endpoint,
        in_process=True,
        heartbeat_s=1.0,
        takes=tmp_path / "takes",
        generator=GeneratorHostConfig(models=("fake",), factory="tests.runtime.fakes:load"),
    )
    with server_thread(config) as local:
        yield local
    assert local.context is not None
    local.context.term()


def connect(server: LocalServer, **options) -> Session:
    return Session.connect(reach(server), **options)


def test_lockstep_gives_every_tick_once_and_the_same_twice(server):
    with connect(server) as session:
        assert [model.name for model in session.models] == ["fake"]
        takes = []
        for _ in range(2):
            world = session.open("fake", seed=7, script=SCRIPT, mode="lockstep", delivery="every", buffer_frames=8)
            pictures = world.advance(30)
            ack = world.event("night")
            pictures += world.advance(30)
            assert [p.header.tick for p in pictures] == list(range(60))
            assert ack.prompt == "a red train at night under stars"
            assert [mark.label for mark in world.timeline] == ["", "night"]
            assert {p.header.cue for p in pictures if p.header.tick >= ack.tick} == {ack.cue}
            assert not any(p.header.held for p in pictures)
            assert world.missed == 0
            takes.append([p.pixels for p in pictures])
            world.close()
        assert all(np.array_equal(a, b) for a, b in zip(*takes, strict=True))


def test_a_live_world_with_every_is_seen_from_its_first_tick(server):
    with connect(server) as session:
        world = session.open("fake", prompt="p", delivery="every")
        ticks = [picture.header.tick for picture, _ in zip(world.frames(5), range(12), strict=False)]
        assert ticks[0] == 0
        assert sorted(set(ticks)) == list(range(ticks[-1] + 1))
        world.wait(lambda w: w.status is not None and w.status.shown > 0, "a status", 5)


def test_offline_waits_for_its_reader(server):
    with connect(server) as session:
        world = session.open("fake", prompt="p", mode="offline", delivery="every", buffer_frames=8)
        time.sleep(0.3)
        assert world.next_picture(5).header.tick == 0
        assert [world.next_picture(5).header.tick for _ in range(100)] == list(range(1, 101))
        assert world.missed == 0


def test_latest_follows_and_pausing_holds(server):
    with connect(server) as session:
        world = session.open("fake", prompt="p", encoding="jpeg")
        first = world.next_picture(5)
        while world.next_picture(5).header.tick <= first.header.tick:
            pass
        tick = world.pause().tick
        world.wait(lambda w: w.status is not None and w.status.paused, "the pause", 5)
        time.sleep(0.2)
        assert world.latest().header.tick < world.step(3).tick == tick + 3
        assert world.latest().pixels.shape == (12, 20, 3)


def test_a_reset_begins_at_tick_0(server):
    with connect(server) as session:
        world = session.open("fake", prompt="p", mode="lockstep", delivery="every")
        before = world.advance(8)
        assert world.reset(seed=9).generation == 1
        after = world.advance(8)
        assert [(p.header.generation, p.header.tick) for p in after] == [(1, tick) for tick in range(8)]
        assert not np.array_equal(before[0].pixels, after[0].pixels)


def test_a_world_whose_user_failed_is_closed(server):
    with connect(server) as session:
        world = session.open("fake", prompt="p")
        with pytest.raises(KeyError), world.closing():
            raise KeyError("in the middle")
        assert session.worlds() == []
        with session.open("fake", prompt="p").closing() as world:
            assert [entry.world for entry in session.worlds()] == [world.name]
        assert session.worlds() == []
        world = session.open("fake", prompt="p")
        world.close()
        with pytest.raises(KeyError, match="what failed"), world.closing():
            raise KeyError("what failed is what is raised")


def test_refusals_of_the_real_server(server):
    with connect(server) as director, connect(server) as viewer:
        with pytest.raises(Refused, match="no model 'nope'") as refused:
            director.open("nope")
        assert refused.value.code == "unknown_model"
        with pytest.raises(Refused, match="there is nothing to show yet"):
            director.open("fake")
        world = director.open("fake", script=SCRIPT)
        watched = viewer.join()
        with pytest.raises(Refused) as refused:
            watched.prompt("not mine")
        assert refused.value.code == "forbidden"
        with pytest.raises(Refused, match="no event 'noon'"):
            world.event("noon")
        with pytest.raises(Refused) as refused:
            world.advance(4)
        assert refused.value.code == "wrong_mode"
        number, answer = director._requests.begin(m.Ack)
        director._connection.send(encode(m.Prompt(request=number, world=world.name, text="x" * 100_000)))
        with pytest.raises(Refused, match="length <= 2000"):
            answer.result(5)
        world.close()
        assert len(list(watched.frames(5))) <= 1
        assert [notice.kind for notice in watched.notices] == ["closed"]
        with pytest.raises(WorldClosed):
            watched.next_picture(5)


def test_the_frames_endpoint_is_told_from_the_control_endpoint(server):
    with connect(server) as session:
        frames = frames_connect(parse_connect(server.endpoint), session.welcome.frames_endpoint)
    with pytest.raises(ConnectionFailed, match="sends its frames; connect to its control"):
        Session.connect(InprocTransport(str(frames), server.context) if frames.scheme == "inproc" else str(frames))


def test_heartbeats_keep_both_sides_connected(server):
    with connect(server) as session:
        world = session.open("fake", prompt="p", mode="lockstep", delivery="every")
        time.sleep(4.0)  # longer than either side waits for a sign of life
        assert (session.state, session.reconnects) == (ConnectionState.CONNECTED, 0)
        assert session.rtt_ms > 0
        assert len(world.advance(4)) == 4


def test_a_client_that_was_dropped_comes_back_to_its_world(server):
    with connect(server) as session:
        world = session.open("fake", prompt="p", mode="lockstep", delivery="every")
        assert len(world.advance(4)) == 4
        before = world.subscribed
        for client in server.server.sessions.all():
            client.gone = True
        # `reconnects` counts before the world is joined again: what tells is the new subscription's answer
        world.wait(lambda w: w.subscribed is not before and w.subscribed.done(), "a new subscription", 60)
        assert session.reconnects >= 1
        assert [p.header.tick for p in world.advance(4)] == [4, 5, 6, 7]


def test_a_late_open_is_closed_again(server):
    with connect(server) as session:
        with pytest.raises(RequestTimeout, match="no answer to open"):
            session.open("fake", prompt="p", timeout_s=0.0)
        until = time.monotonic() + 5
        while session.worlds() and time.monotonic() < until:
            time.sleep(0.01)
        assert session.worlds() == []


def test_the_async_session_too(server):
    async def play() -> None:
        async with await AsyncSession.connect(reach(server)) as session:
            world = await session.open("fake", script=SCRIPT, mode="lockstep", delivery="every", buffer_frames=4)
            assert [p.header.tick for p in await world.advance(20)] == list(range(20))
            live = await session.open("fake", prompt="p", delivery="every")
            ticks = []
            async for picture in live.frames(5):
                ticks.append(picture.header.tick)
                if len(ticks) == 5:
                    break
            assert ticks[0] == 0

    asyncio.run(play())


def test_threads_that_advance_one_world_take_turns(server):
    with connect(server) as session:
        world = session.open("fake", prompt="x", mode="lockstep", delivery="every", buffer_frames=4)
        shares: list[list[int]] = []

        def advance(ticks: int) -> None:
            for _ in range(4):
                shares.append([picture.header.tick for picture in world.advance(ticks)])

        threads = [threading.Thread(target=advance, args=(ticks,)) for ticks in (3, 8, 5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sorted(len(share) for share in shares) == sorted([3, 8, 5] * 4)
        assert all(share == list(range(share[0], share[0] + len(share))) for share in shares)
        assert sorted(tick for share in shares for tick in share) == list(range(64)), "no tick is lost or given twice"


def test_tasks_that_advance_one_world_take_turns(server):
    async def play() -> None:
        async with await AsyncSession.connect(reach(server)) as session:
            world = await session.open("fake", prompt="x", mode="lockstep", delivery="every", buffer_frames=4)
            shares = await asyncio.gather(*(world.advance(ticks) for ticks in (3, 8, 5, 8)))
            ticks = [[picture.header.tick for picture in share] for share in shares]
            assert ticks == [list(range(3)), list(range(3, 11)), list(range(11, 16)), list(range(16, 24))]

    asyncio.run(play())


@pytest.mark.parametrize(
    ("action", "error", "reason"),
    [
        ("reset", Refused, "the world was reset before the frames were shown"),
        ("leave", WorldClosed, "this client left"),
        ("close", WorldClosed, "w1.* (was closed|has ended)"),
    ],
)
def test_what_ends_an_advance_is_its_answer(server, action, error, reason):
    with connect(server) as session:
        world = session.open("fake", prompt="x", mode="lockstep", delivery="every", buffer_frames=4)
        failures: list[BaseException] = []

        def advance() -> None:
            try:
                world.advance(100_000)
            except Exception as failure:
                failures.append(failure)

        thread = threading.Thread(target=advance)
        thread.start()
        world.wait(lambda w: w.status is not None and w.status.tick > 0, "the first frame")
        getattr(world, action)()
        thread.join(30)
        (failure,) = failures
        assert isinstance(failure, error | Refused)
        assert re.search(reason, str(failure)) or failure.code == "unknown_world"
        if action == "reset":
            assert [picture.header.tick for picture in world.advance(3)] == [0, 1, 2]


def test_a_shared_world_is_joined_and_left_and_joined(server):
    """As by those who watch what `play --share` shows: again in one session, and in new ones."""
    with connect(server) as director, connect(server) as watcher:
        world = director.open("fake", prompt="x", delivery="latest")
        for number in range(6):
            joined = watcher.join(delivery=["latest", "every"][number % 2])
            assert joined.name == world.name
            assert joined.next_picture(10).header.generation == number // 3
            if number == 3:
                assert joined.next_picture(10).header.number > 0
            if number == 2:
                world.reset()
            joined.leave()
            joined.latest()  # those that are here can still be taken
            with pytest.raises(WorldClosed, match="this client left"):
                joined.next_picture(1)
        for _ in range(4):
            with connect(server) as passing:
                assert passing.join().next_picture(10) is not None
        until = time.monotonic() + 10
        while [entry.members for entry in director.worlds()] != [1] and time.monotonic() < until:
            time.sleep(0.02)
        assert [entry.members for entry in director.worlds()] == [1]
        assert world.next_picture(10) is not None
        world.close()
        with pytest.raises(Refused, match="no world runs here yet"):
            watcher.join()


def test_the_client_in_the_specification_works(server, capsys):
    if not server.endpoint.startswith("tcp"):
        pytest.skip("it is written for tcp")
    specification = (Path(__file__).parents[3] / "docs/protocol.md").read_text()
    (code,) = re.findall(r"^```python$(.*?)^```$", specification, re.MULTILINE | re.DOTALL)
    assert "tcp://127.0.0.1:5570" in code
    exec(code.replace("tcp://127.0.0.1:5570", server.endpoint), {})
    lines = [[int(word) for word in line.split()] for line in capsys.readouterr().out.splitlines()]
    assert lines == [[tick, 12, 20, 12 * 20 * 3] for tick in range(16)]


def test_threads_end(server):
    before = threading.active_count()
    for _ in range(5):
        with connect(server) as session:
            session.worlds()
    assert threading.active_count() == before
