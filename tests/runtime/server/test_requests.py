"""What a client may not do, or do too much of: it gets an error, and nobody else notices."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from raw_client import RawClient

from longtake.protocol import messages, wire

Start = Callable[..., Any]


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "malformed"),
        (b"\xc1", "malformed"),
        (b"\x93\x01\x02\x03", "malformed"),
        (b"\xdd\xff\xff\xff\xff", "malformed"),
        (bytes(range(256)) * 40, "malformed"),
        (b"\x91" * 4000, "malformed"),
        (wire._encoder.encode({"type": "dance", "request": 3}), "unknown_type"),
        (wire._encoder.encode({"type": "open", "request": 4, "seed": "seven"}), "invalid"),
        (wire._encoder.encode({"type": "prompt", "request": 5, "world": "w1", "text": "x" * 100_000}), "invalid"),
        (wire._encoder.encode({"type": "prompt", "text": "x" * 400_000}), "too_large"),
    ],
)
def test_bad_bytes_get_an_error_and_change_nothing(start: Start, data: bytes, code: str) -> None:
    local = start()
    with RawClient(local) as client:
        joined = client.open(mode="lockstep")
        client.send(data)
        assert client.wait(messages.Error).code == code
        assert client.control_world(joined.world, "advance", ticks=4).tick == 4


def test_a_message_beyond_the_sockets_limit_costs_only_its_sender(start: Start) -> None:
    local = start()
    with RawClient(local) as good, RawClient(local) as bad:
        joined = good.open(mode="lockstep")
        bad.send(b"\xc4" + bytes(3 * 1024 * 1024))
        assert good.control_world(joined.world, "advance", ticks=4).tick == 4


def test_unknown_connections_say_hello_first_and_versions_must_agree(start: Start) -> None:
    local = start()
    with RawClient(local, hello=False) as client:
        client.send(messages.Worlds(request=1))
        error = client.wait(messages.Error)
        assert (error.code, error.request) == ("hello_first", 1)
        client.send(messages.Hello(version=(9, 0)))
        assert "9.0" in client.wait(messages.Error, code="version").message
        client.send(messages.Hello(version=(1, 99)))
        assert client.wait(messages.Welcome).version[0] == 1


def test_a_flood_of_cues_is_refused_with_a_retryable_error(start: Start) -> None:
    local = start()
    with RawClient(local) as client, RawClient(local) as other:
        world = client.open(mode="lockstep").world
        mine = other.open(mode="lockstep").world
        for number in range(100):
            client.send(messages.Prompt(request=1000 + number, world=world, text=f"cue {number}"))
        answers = [client.wait((messages.Ack, messages.Error)) for _ in range(100)]  # type: ignore[arg-type]
        refused = [answer for answer in answers if isinstance(answer, messages.Error)]
        assert 39 <= len(answers) - len(refused) < 100, "a burst of 40, of which opening was one"
        assert {(error.code, error.retryable) for error in refused} == {("too_fast", True)}
        assert other.ask(messages.Prompt, messages.Ack, world=mine, text="calm").cue == 1


def test_a_flood_of_messages_leaves_the_others_alone(start: Start) -> None:
    local = start()
    with RawClient(local) as flooder, RawClient(local) as good:
        world = good.open(mode="lockstep").world
        for _ in range(5000):
            flooder.send(b"\xc1 nonsense")
        assert good.control_world(world, "advance", ticks=4).tick == 4
        assert flooder.wait(messages.Error, code="too_fast").retryable


def test_limits_on_worlds_are_errors_with_the_figure(start: Start) -> None:
    local = start()
    with RawClient(local) as client:
        for _ in range(4):
            assert isinstance(client.open(mode="lockstep"), messages.Joined)
        error = client.open(mode="lockstep")
        assert (error.code, error.retryable) == ("too_many", True)
        assert "4 worlds" in error.message


def test_a_live_world_for_which_there_is_no_time_is_refused_with_the_figures(start: Start) -> None:
    local = start(fake={"step_s": 0.15})
    with RawClient(local) as client:
        world = client.open().world
        room = local.server.worlds.find(world)
        while len(room.world.lead.block_s) < 3:
            time.sleep(0.05)
        error = client.open()
        assert error.code == "no_room"
        assert "% busy" in error.message
        assert isinstance(client.open(mode="lockstep"), messages.Joined)


def test_unknown_things_are_named(start: Start) -> None:
    local = start()
    with RawClient(local) as client:
        assert "it has: fake" in client.ask(messages.Open, messages.Joined, model="other", prompt="x").message
        assert client.ask(messages.Join, messages.Joined, world="w9").code == "unknown_world"
        world = client.open(mode="lockstep").world
        assert client.ask(messages.Event, messages.Ack, world=world, name="storm").code == "unknown_event"
        assert client.open(prompt=None).code == "bad_script"
        assert client.open(prompt="too big").code == "no_room"
        assert client.control_world(world, "record_stop").code == "recording"
