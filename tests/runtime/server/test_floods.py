"""Floods: from several clients, from one that reads nothing, and of requests that wait."""

import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import pytest
import zmq
from raw_client import RawClient

from longtake.protocol import messages, wire
from longtake.runtime.server.limits import Limits

Start = Callable[..., Any]
COUNT = 700
ANSWERS: Any = (messages.WorldList, messages.Done, messages.Ack, messages.Joined, messages.Error)


def answers_to(client: RawClient, numbers: range) -> dict[int, Any]:
    """Read until every request has its answer; none may have two."""
    got: dict[int, Any] = {}
    while len(got) < len(numbers):
        message = client.wait(ANSWERS)
        if message.request in numbers:
            assert message.request not in got
            got[message.request] = message
    return got


@pytest.mark.parametrize(
    "flood",
    [
        messages.Worlds(request=0),
        messages.Event(request=0, world="no such world", name="x"),
        messages.Control(request=0, world="w", action="step", ticks=5),
        messages.Leave(request=0, world="w"),
    ],
)
def test_floods_of_several_clients_are_answered_and_a_fourth_goes_on(start: Start, flood: Any) -> None:
    local = start()
    with ExitStack() as stack:
        good, *flooders = (stack.enter_context(RawClient(local)) for _ in range(4))
        world = good.open(mode="lockstep").world
        for number in range(COUNT):
            for client in flooders:
                fields = {name: getattr(flood, name) for name in flood.__struct_fields__}
                client.send(type(flood)(**{**fields, "request": 1000 + number}))
        before = time.monotonic()
        assert good.control_world(world, "advance", ticks=4).tick == 4
        assert time.monotonic() - before < 5
        for client in flooders:
            assert len(answers_to(client, range(1000, 1000 + COUNT))) == COUNT


def test_a_flood_of_cues_of_three_directors_of_one_world(start: Start) -> None:
    local = start()
    with ExitStack() as stack:
        first, *others = (stack.enter_context(RawClient(local)) for _ in range(3))
        world = first.open(mode="lockstep").world
        for client in others:
            client.ask(messages.Join, messages.Joined, world=world, role="director")
        for number in range(100):
            for at, client in enumerate((first, *others)):
                client.send(messages.Prompt(request=1000 + number, world=world, text=f"{at}: cue {number}"))
        acks = []
        for client in (first, *others):
            got = answers_to(client, range(1000, 1100)).values()
            acks += [answer for answer in got if isinstance(answer, messages.Ack)]
            assert {answer.code for answer in got if isinstance(answer, messages.Error)} <= {"too_fast"}
        assert sorted(ack.cue for ack in acks) == list(range(1, len(acks) + 1))
        assert {ack.block for ack in acks} == {0}
        assert first.control_world(world, "advance", ticks=4).tick == 4


@pytest.mark.parametrize(
    "data",
    [
        wire.encode(messages.Worlds(request=7)),
        wire.encode(messages.Prompt(request=7, world="no such world", text="x")),
        b"\xc1 nonsense",
        wire._encoder.encode({"type": "dance", "request": 7, "more": "x" * 2000}),
    ],
)
def test_a_client_that_reads_nothing_is_dropped_and_told(
    start: Start, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    local = start()
    sessions = local.server.sessions
    with RawClient(local) as deaf, RawClient(local) as good:
        full, send = sessions.by_token(deaf.welcome.session).identity, sessions._send
        monkeypatch.setattr(sessions, "_send", lambda to, what: zmq.EAGAIN if to == full else send(to, what))
        deaf.send(data)
        until = time.monotonic() + 30
        while sessions.by_token(deaf.welcome.session) is not None and time.monotonic() < until:
            time.sleep(0.01)
        assert sessions.by_token(deaf.welcome.session) is None, "the server knows that an answer was lost"
        monkeypatch.undo()
        assert deaf.ask(messages.Worlds, messages.WorldList).code == "hello_first"
        assert good.ask(messages.Worlds, messages.WorldList).worlds == []


def test_steps_that_wait_are_limited(start: Start) -> None:
    local = start(limits=Limits(message_burst=5000))
    with RawClient(local) as client:
        world = client.open(paused=True, mode="offline").world
        for number in range(1001):
            client.send(messages.Control(request=5000 + number, world=world, action="step", ticks=1000))
        refused = client.wait(messages.Error)
        assert (refused.code, refused.retryable) == ("too_fast", True)
        assert "already wait" in refused.message


def test_a_client_may_say_goodbye_and_hello_in_one_breath(start: Start) -> None:
    local = start()
    with RawClient(local) as client:
        first = client.welcome.session
        world = client.open(mode="lockstep").world
        for message in (messages.Goodbye(), messages.Worlds(request=70), messages.Hello(client="again")):
            client.send(message)
        assert client.wait(messages.Error, request=70).code == "hello_first"
        assert client.wait(messages.Welcome).session != first
        until = time.monotonic() + 30
        while client.ask(messages.Worlds, messages.WorldList).worlds[0].members and time.monotonic() < until:
            time.sleep(0.01)
        assert client.ask(messages.Worlds, messages.WorldList).worlds[0].members == 0, "the old session has left"
        assert client.ask(messages.Join, messages.Joined, world=world, role="director").world == world


def test_a_flood_of_large_messages_leaves_a_live_world_its_pace(start: Start) -> None:
    large = wire._encoder.encode({"type": "leave", "request": 7, "world": "none", "more": [[0] * 1000] * 120})
    local = start(limits=Limits(messages_per_second=1, message_burst=1))
    with RawClient(local) as flooder, RawClient(local) as good:
        good.open()
        while good.wait(messages.Status).tick < 16:
            pass
        for _ in range(600):
            flooder.send(large)
        before = good.wait(messages.Status)
        while (now := good.wait(messages.Status)).tick < before.tick + 32:
            pass
        assert now.skipped - before.skipped < 160, "it was over a thousand when each message was read whole"
        for _ in range(600):
            assert flooder.wait(messages.Error, request=7).code in ("too_fast", "unknown_world")
        while good.wait(messages.Status).tick <= now.tick:
            pass


def test_no_more_is_read_once_it_took_long(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    local = start()
    read: list[float] = []

    def slow(identity: bytes, parts: list[bytes]) -> None:
        read.append(time.monotonic())
        time.sleep(0.03)

    with RawClient(local) as client, RawClient(local) as good:
        world = good.open().world
        while good.wait(messages.Status).tick < 8:
            pass
        handle = local.server._read_control
        monkeypatch.setattr(
            local.server,
            "_read_control",
            lambda identity, parts: (slow if parts == [b"x"] else handle)(identity, parts),
        )
        before = good.wait(messages.Status)
        for _ in range(60):
            client.send(b"x")
        while (now := good.wait(messages.Status)).tick < before.tick + 16:
            pass
        assert len(read) > 5
        assert now.skipped - before.skipped < 16, "a second is not read at once"
        assert good.control_world(world, "close").world == world
