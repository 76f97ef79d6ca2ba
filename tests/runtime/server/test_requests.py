"""What a client may not do, or do too much of: it gets an error, and nobody else notices."""

import time
from collections.abc import Callable
from typing import Any

import msgpack
import msgspec
import pytest
from raw_client import RawClient

from longtake.clients.session import Session
from longtake.protocol import messages, wire
from longtake.runtime.server.limits import Limits
from tests.reach import reach

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
        for _ in range(3000):
            flooder.send(b"\xc1 nonsense")
        assert good.control_world(world, "advance", ticks=4).tick == 4
        assert flooder.wait(messages.Error, code="malformed").retryable is False


def test_every_request_of_a_flood_is_answered_with_its_number(start: Start) -> None:
    # a rate that a busy machine, which reads a flood slowly, cannot stay below
    local = start(limits=Limits(messages_per_second=20, message_burst=1000))
    count = 1800
    with RawClient(local) as client:
        world = client.open(mode="lockstep").world
        kinds: list[Any] = [
            messages.Worlds(request=0),
            messages.Control(request=0, world=world, action="pause"),
            messages.Prompt(request=0, world=world, text="a fox"),
            messages.Join(request=0, world=world, role="director"),
            messages.Worlds(request=0),
        ]
        for number in range(count):
            client.send(msgspec.structs.replace(kinds[number % len(kinds)], request=1000 + number))
        answers: dict[int, Any] = {}
        while len(answers) < count:
            message = client.wait((messages.WorldList, messages.Done, messages.Ack, messages.Joined, messages.Error))  # type: ignore[arg-type]
            assert message.request not in answers
            answers[message.request] = message
        assert sorted(answers) == list(range(1000, 1000 + count))
        refused = [answer for answer in answers.values() if isinstance(answer, messages.Error)]
        assert {(error.code, error.retryable) for error in refused} == {("too_fast", True)}
        assert any("messages per second" in error.message for error in refused)


def test_signs_of_life_are_taken_from_a_client_that_asks_too_much(start: Start) -> None:
    local = start(limits=Limits(messages_per_second=1, message_burst=1))
    with RawClient(local) as client:
        client.send(messages.Worlds(request=1))
        client.send(messages.Worlds(request=2))
        assert client.wait(messages.Error, request=2).code == "too_fast"
        client.send(messages.Heartbeat(sent=5.0))
        assert client.wait(messages.Heartbeat, reply=True).sent == 5.0
        client.send(messages.Displayed(world="w", cue=1, event_to_photon_ms=3.0))
        assert client.wait(messages.Error, request=None).code == "too_fast"


@pytest.mark.parametrize(
    "parts",
    [
        [wire._encoder.encode({"type": "worlds", "request": 77}), b"and more"],
        [wire._encoder.encode({"type": "prompt", "request": 77, "world": "w1", "text": "x" * 200_000})],
        [wire._encoder.encode({"type": "worlds", "request": 77, "deep": [[[[[[[[[[1]]]]]]]]]]})],
        [wire._encoder.encode({"deep": [[[[[[[[[[1]]]]]]]]]], "request": 77, "type": "worlds"})],
        [msgpack.packb({"type": "worlds", "request": 77, 5: "a key"})],
        [msgpack.packb({5: "a key", "type": "worlds", "request": 77})],
        [msgpack.packb({"type": "worlds", "request": 77, "ext": msgpack.ExtType(4, b"x")})],
        [msgpack.packb({"type": "worlds", "request": 77, "many": list(range(5000))})],
        [msgpack.packb({"type": "worlds", "request": 77}) + b"\x01"],
        [msgpack.packb({"type": "worlds", "request": 77, "x": "cut short"})[:-4]],
        [msgpack.packb({"type": "worlds", "request": 77, "x": b"\xff".decode("latin-1")})[:-1] + b"\xff"],
        [msgpack.packb({"request": 77})],
        [msgpack.packb({"type": 5, "request": 77})],
        [msgpack.packb({"type": "dance", "request": 77})],
        [msgpack.packb({"type": "event", "request": 77})],
    ],
)
def test_an_error_carries_the_request_number_whenever_it_can_be_read(start: Start, parts: list[bytes]) -> None:
    local = start()
    with RawClient(local) as client:
        client.control.send_multipart(parts)
        assert client.wait(messages.Error).request == 77
        client.open(mode="lockstep")
        client.connect_frames()
        client.frames.send_multipart(parts)
        assert client.frame_message()[0].request == 77


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


def test_a_live_world_that_is_always_late_leaves_turns_to_others(start: Start) -> None:
    """Its block of a quarter of a second takes two fifths."""
    with RawClient(start(fake={"step_s": 0.3, "decode_s": 0.2})) as client:
        client.open()
        other = client.open(mode="lockstep").world
        assert client.control_world(other, "advance", ticks=4).tick == 4
        assert client.control_world(other, "advance", ticks=4).tick == 8


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


@pytest.fixture
def steered(start: Start) -> Any:
    """A server whose model takes input."""
    return start(fake={"axes": True})


def test_an_input_is_answered_with_its_block_and_the_model_says_its_axes(steered: Any) -> None:
    with RawClient(steered) as client:
        joined = client.open(mode="lockstep")
        assert "actions" in joined.model.capabilities
        assert [(axis.name, axis.low, axis.high, axis.button) for axis in joined.model.axes] == [
            ("speed", -1.0, 1.0, False),
            ("lift", -0.5, 0.5, False),
            ("horn", 0.0, 1.0, True),
        ]
        client.control_world(joined.world, "advance", ticks=8)
        ack = client.ask(messages.Input, messages.InputAck, world=joined.world, axes={"speed": 1})
        assert (ack.block, ack.tick, ack.axes) == (2, 8, {"speed": 1.0, "lift": 0.0, "horn": 0.0})


@pytest.mark.parametrize(
    ("axes", "words"),
    [
        ({"throttle": 1.0}, "no axis 'throttle'; it has speed -1 to 1, lift -0.5 to 0.5, horn 0 or 1"),
        ({"speed": 1.5}, "speed cannot be held at 1.5; fake has speed -1 to 1"),
        ({"speed": float("nan")}, "speed cannot be held at nan"),
        ({"speed": True}, "expected float"),
        ({"speed": "fast"}, "expected float"),
        ([1.0], "axes"),
    ],
)
def test_a_bad_input_gets_one_line(steered: Any, axes: Any, words: str) -> None:
    with RawClient(steered) as client:
        world = client.open(mode="lockstep").world
        client.send(wire._encoder.encode({"type": "input", "request": 77, "world": world, "axes": axes}))
        error = client.wait(messages.Error)
        assert (error.code, error.request) == ("invalid", 77)
        assert words in error.message
        assert "\n" not in error.message


def test_a_model_without_axes_and_a_viewer_may_not_hold_anything(start: Start) -> None:
    local = start()
    with RawClient(local) as client:
        world = client.open(mode="lockstep").world
        client.send(messages.Input(request=5, world=world, axes={"speed": 1.0}))
        error = client.wait(messages.Error)
        assert (error.code, error.request) == ("no_capability", 5)
        assert "fake takes no input" in error.message
        client.ask(messages.Join, messages.Joined, world=world, role="viewer")
        client.send(messages.Input(request=6, world=world, axes={"speed": 1.0}))
        assert client.wait(messages.Error).code == "forbidden"


def test_inputs_cost_no_cues_and_the_newest_is_held(steered: Any) -> None:
    with RawClient(steered) as client:
        world = client.open(mode="lockstep").world
        for number in range(200):
            client.send(messages.Input(request=1000 + number, world=world, axes={"speed": number / 200}))
        ack = client.wait(messages.InputAck, request=1199)
        assert (ack.block, ack.axes["speed"]) == (0, 199 / 200)


def test_whoever_leaves_or_only_watches_lets_go(steered: Any) -> None:
    with RawClient(steered) as client, RawClient(steered) as other:
        world = client.open(mode="lockstep").world
        other.ask(messages.Join, messages.Joined, world=world, role="director")
        other.ask(messages.Input, messages.InputAck, world=world, axes={"speed": 1.0, "lift": 0.5})
        client.ask(messages.Input, messages.InputAck, world=world, axes={"lift": -0.5})
        other.ask(messages.Join, messages.Joined, world=world, role="viewer")
        ack = client.ask(messages.Input, messages.InputAck, world=world, axes={})
        assert ack.axes == {"speed": 0.0, "lift": -0.5, "horn": 0.0}


def test_medians_of_cues_and_inputs_are_kept_apart(steered: Any) -> None:
    with RawClient(steered) as client:
        world = client.open(mode="lockstep").world
        client.send(messages.Displayed(world=world, cue=1, event_to_photon_ms=400.0))
        client.send(messages.Displayed(world=world, event_to_photon_ms=200.0))
        client.control_world(world, "pause")
        status = client.wait(messages.Status, input_to_photon_ms=200.0)
        assert status.event_to_photon_ms == 400.0


def test_overlapping_runs_are_answered_in_order_each_after_its_own_frames(start: Start) -> None:
    with RawClient(start()) as one:
        world = one.open(mode="lockstep").world
        for number, (action, ticks) in enumerate([("advance", 5), ("step", 2), ("advance", 3)]):
            one.send(messages.Control(request=500 + number, world=world, action=action, ticks=ticks))  # type: ignore[arg-type]
        done = [one.wait(messages.Done) for _ in range(3)]
        assert [(answer.request, answer.tick) for answer in done] == [(500, 5), (501, 7), (502, 10)]


def test_a_run_goes_on_when_its_sender_leaves_and_is_answered(start: Start) -> None:
    with RawClient(start()) as client:
        world = client.open(mode="lockstep").world
        client.subscribe(world, delivery="every", credit=3)
        client.send(messages.Control(request=500, world=world, action="advance", ticks=9))
        client.wait(messages.Status, waiting_for=["raw"])
        client.send(messages.Leave(request=501, world=world))
        assert client.wait(messages.Done, request=501).tick == 3
        assert client.wait(messages.Done, request=500).tick == 9


def test_nothing_of_a_world_comes_before_joined(start: Start) -> None:
    with RawClient(start(fake={"open_s": 0.8})) as client, RawClient(start()) as quick:
        for one in (client, quick):
            one.open(mode="lockstep")
            kinds = [type(message) for message in one.seen]
            before = kinds[: kinds.index(messages.Joined)]
            assert not {messages.Status, messages.Notice, messages.Applied} & set(before)
            one.wait(messages.Status)


def test_what_steps_and_cues_do_in_states_that_do_not_fit(start: Start) -> None:
    with RawClient(start()) as client:
        live = client.open(paused=True).world
        both = client.ask(messages.Prompt, messages.Ack, world=live, text="now", cut_in=True, at_tick=5000)
        assert (both.code, "send one of the two" in both.message) == ("invalid", True)
        assert client.control_world(live, "advance").code == "wrong_mode"
        client.send(messages.Control(request=700, world=live, action="step", ticks=3))
        client.send(messages.Control(request=701, world=live, action="step", ticks=2))
        assert [client.wait(messages.Done, request=number).tick for number in (700, 701)] == [3, 5]
        ack = client.ask(messages.Prompt, messages.Ack, world=live, text="now", cut_in=True)
        client.wait(messages.Status, tick=ack.tick)  # what was made before is left out, paused or not
        assert client.control_world(live, "step", ticks=1).tick == ack.tick + 1

        lockstep = client.open(mode="lockstep", paused=True).world
        assert client.control_world(lockstep, "advance", ticks=3).tick == 3, (
            "only advance and step move it, paused or not"
        )
        assert client.control_world(lockstep, "pause").tick == 3
        assert client.control_world(lockstep, "step", ticks=2).tick == 5
        cut = client.ask(messages.Prompt, messages.Ack, world=lockstep, text="now", cut_in=True)
        assert cut.code == "wrong_mode"


def test_clients_are_told_when_the_models_have_loaded(start: Start) -> None:
    local = start(fake={"load_s": 1.5}, wait_ready=False)
    with RawClient(local) as client, RawClient(local, hello=False) as older, Session.connect(reach(local)) as session:
        assert client.welcome.models == []
        older.send(messages.Hello(version=(1, 0)))
        assert client.wait(messages.Notice, kind="models").text == "ready: fake"
        client.send(messages.Hello())
        assert [model.name for model in client.wait(messages.Welcome).models] == ["fake"]
        until = time.monotonic() + 10
        while not session.models and time.monotonic() < until:
            time.sleep(0.02)
        assert [model.name for model in session.models] == ["fake"]
        older.wait(messages.Heartbeat)
        assert not [message for message in older.seen if isinstance(message, messages.Notice)]


def test_without_ticks_a_run_is_as_long_as_the_block_it_begins_in(start: Start) -> None:
    with RawClient(start(fake={"first_block_frames": 1, "block_frames": 4})) as client:
        world = client.open(mode="lockstep").world
        assert [client.control_world(world, "advance").tick for _ in range(3)] == [1, 5, 9]
        assert client.control_world(world, "step").tick == 13
        assert client.control_world(world, "reset").tick == 0
        for number in (800, 801):
            client.send(messages.Control(request=number, world=world, action="advance"))
        assert [client.wait(messages.Done, request=number).tick for number in (800, 801)] == [1, 5]
