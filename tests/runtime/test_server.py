"""The server over real sockets, with the fake model in a thread: requests, roles, frames, credit, limits."""

import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from raw_client import RawClient

from longtake.clients.session import Session
from longtake.protocol import messages, wire
from longtake.protocol.errors import EndpointError
from longtake.runtime.generator_hosts import GeneratorConfig
from longtake.runtime.local import local_server
from longtake.runtime.server import Server, ServerConfig, ServerError
from longtake.runtime.take import read_take

Start = Callable[..., Any]


def test_a_session_opens_steers_and_watches(start: Start) -> None:
    local = start()
    with Session.connect(local.endpoint, context=local.context) as session:
        assert [model.name for model in session.models] == ["fake"]
        world = session.open(model="fake", prompt="a red balloon", seed=7, mode="lockstep", delivery="every")
        first = world.advance(8)
        ack = world.prompt("a fox")
        second = world.advance(8)
        assert [p.header.tick for p in first + second] == list(range(16))
        assert [p.header.cue for p in second] == [0 if p.header.tick < ack.tick else 1 for p in second]
        assert ack.tick == 8
        assert [mark.kind for mark in world.timeline] == ["start", "prompt"]


def test_in_process_over_inproc(start: Start) -> None:
    with local_server("fake", in_process=True, factory="fakes:load") as local:
        assert local.endpoint.startswith("inproc://")
        with Session.connect(local.endpoint, context=local.context) as session:
            world = session.open(model="fake", prompt="x", mode="lockstep", delivery="every")
            assert len(world.advance(12)) == 12


def test_a_live_world_keeps_its_pace(start: Start) -> None:
    local = start()
    with Session.connect(local.endpoint, context=local.context) as session:
        world = session.open(model="fake", prompt="x", delivery="every")
        begun = time.monotonic()
        pictures = [world.next_picture() for _ in range(33)]
        took = time.monotonic() - begun
        assert 1.7 < took < 6, "32 ticks are two seconds"
        assert [p.header.number for p in pictures] == list(range(33))


def test_several_directors_and_a_viewer(start: Start) -> None:
    local = start()
    with RawClient(local) as director, RawClient(local) as viewer:
        joined = director.open(mode="lockstep")
        seen = viewer.ask(messages.Join, messages.Joined, world="", role="viewer")
        assert (seen.world, seen.role, seen.seed) == (joined.world, "viewer", joined.seed)
        for refused in (
            viewer.ask(messages.Prompt, messages.Ack, world=joined.world, text="mine"),
            viewer.control_world(joined.world, "reset"),
            viewer.control_world(joined.world, "close"),
        ):
            assert (refused.code, refused.retryable) == ("forbidden", False)
        assert director.ask(messages.Prompt, messages.Ack, world=joined.world, text="mine").cue == 1
        again = viewer.ask(messages.Join, messages.Joined, world=joined.world, role="director")
        assert again.role == "director"
        assert viewer.ask(messages.Prompt, messages.Ack, world=joined.world, text="yours").coalesced == 2
        assert len(viewer.ask(messages.Worlds, messages.WorldList).worlds) == 1


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


def test_frames_go_only_to_members_with_the_right_session(start: Start) -> None:
    local = start()
    with RawClient(local) as owner, RawClient(local) as stranger:
        world = owner.open(mode="lockstep").world
        assert stranger.subscribe(world).code == "unknown_world"
        stranger.welcome = messages.Welcome(
            version=(1, 0), server="", session="0" * 32, frames_endpoint=owner.welcome.frames_endpoint, models=[],
            heartbeat_s=1.0,
        )  # fmt: skip
        assert stranger.subscribe(world).code == "unknown_session"


def test_frames_are_sent_only_against_credit_and_every_makes_the_world_wait(start: Start) -> None:
    local = start()
    with RawClient(local) as client:
        world = client.open(mode="lockstep").world
        client.subscribe(world, delivery="every", credit=3)
        client.send(messages.Control(request=90, world=world, action="advance", ticks=20))
        assert [client.frame_message()[0].tick for _ in range(3)] == [0, 1, 2]
        assert client.no_frame()
        made = local.server.hosting.find(world).world.making.steps.made
        assert made * 4 <= 24
        client.credit(world, 100)
        assert [client.frame_message()[0].tick for _ in range(17)] == list(range(3, 20))
        assert client.wait(messages.Done, request=90).tick == 20


def test_an_offline_world_goes_as_fast_as_its_frames_are_taken(start: Start) -> None:
    local = start()
    with RawClient(local) as client:
        world = client.open(mode="offline").world
        hosted = local.server.hosting.find(world)
        time.sleep(0.3)
        assert hosted.world.playback.tick == 0, "nobody takes its frames yet"
        client.subscribe(world, delivery="every", credit=50)
        ticks = [client.frame_message()[0].tick for _ in range(50)]
        assert ticks == list(range(50))
        assert client.no_frame()
        assert hosted.world.making.steps.made <= 50 // 4 + 4
        client.credit(world, 50)
        begun = time.monotonic()
        assert [client.frame_message()[0].tick for _ in range(50)] == list(range(50, 100))
        assert time.monotonic() - begun < 50 / 16, "slower than real time"


def test_latest_gets_the_newest_and_never_holds_anybody_up(start: Start) -> None:
    local = start()
    with RawClient(local) as client, RawClient(local) as idle:
        world = client.open(mode="lockstep").world
        idle.ask(messages.Join, messages.Joined, world=world, role="viewer")
        idle.subscribe(world, delivery="latest", credit=0)
        assert client.control_world(world, "advance", ticks=40).tick == 40
        assert idle.no_frame(0.2)
        idle.credit(world, 1)
        frame, pixels = idle.frame_message()
        assert frame.tick == 39
        assert len(pixels) == frame.height * frame.width * 3
        assert idle.no_frame(0.2)


def test_a_new_subscriber_of_a_paused_world_sees_the_last_picture(start: Start) -> None:
    local = start()
    with RawClient(local) as client, RawClient(local) as late:
        world = client.open(mode="lockstep").world
        client.control_world(world, "advance", ticks=6)
        late.ask(messages.Join, messages.Joined, world=world)
        assert late.subscribe(world, encoding="jpeg").tick == 6
        frame, data = late.frame_message()
        assert (frame.tick, frame.encoding) == (5, "jpeg")
        assert Image.open(io.BytesIO(data)).size == (frame.width, frame.height)


def test_raw_pixels_are_the_models(start: Start) -> None:
    local = start()
    from fakes import FakeModel

    model = FakeModel()
    expected = model.step(model.open(seed=5, prompt="a red balloon")).frames[0]
    with RawClient(local) as client:
        world = client.open(mode="lockstep", seed=5).world
        client.subscribe(world, delivery="every", credit=4)
        client.control_world(world, "advance", ticks=4)
        for index in range(4):
            frame, pixels = client.frame_message()
            rows = np.frombuffer(pixels, np.uint8).reshape(frame.height, frame.width, 3)
            assert np.array_equal(rows, expected[index])


def test_a_slow_every_viewer_of_a_live_world_is_let_go_and_the_world_goes_on(start: Start) -> None:
    from longtake.runtime.limits import Limits

    local = start(limits=Limits(queued_bytes=1))
    with RawClient(local) as director, RawClient(local) as viewer:
        world = director.open().world
        director.subscribe(world, delivery="latest", credit=1000)
        viewer.ask(messages.Join, messages.Joined, world=world)
        viewer.subscribe(world, delivery="every", credit=0)
        error = viewer.frame_message()[0]
        assert (error.code, error.retryable, error.world) == ("too_slow", True, world)
        ticks = [director.frame_message()[0].tick for _ in range(24)]
        assert ticks == sorted(ticks)


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
        hosted = local.server.hosting.find(world)
        while len(hosted.world.making.lead.block_s) < 3:
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


def test_statuses_come_twice_a_second_and_displayed_feeds_them(start: Start) -> None:
    local = start()
    with RawClient(local) as client:
        world = client.open(mode="lockstep").world
        for ms in (100.0, 300.0, 200.0):
            client.send(messages.Displayed(world=world, cue=1, event_to_photon_ms=ms))
        status = client.wait(messages.Status, event_to_photon_ms=200.0)
        assert (status.members, status.generator, status.mode) == (1, "ready", "lockstep")
        begun = time.monotonic()
        for _ in range(4):
            client.wait(messages.Status)
        assert 1.0 < time.monotonic() - begun < 5.0


def test_a_pause_is_told_at_once(start: Start) -> None:
    local = start()
    with RawClient(local) as client:
        world = client.open().world
        client.control_world(world, "pause")
        assert client.wait(messages.Status, paused=True)
        tick = client.control_world(world, "pause").tick
        time.sleep(0.4)
        assert client.control_world(world, "resume").tick == tick
        assert client.wait(messages.Status, paused=False)


def test_recording_from_the_middle_holds_the_take_from_its_beginning(start: Start) -> None:
    local = start()
    with RawClient(local) as client:
        world = client.open(mode="lockstep", seed=9).world
        client.control_world(world, "advance", ticks=8)
        client.ask(messages.Prompt, messages.Ack, world=world, text="a fox")
        client.control_world(world, "advance", ticks=8)
        assert client.control_world(world, "record_start", path="mine").detail == "mine.take"
        assert client.wait(messages.Status, recording="mine.take")
        assert client.control_world(world, "record_start", path="mine").code == "recording"
        client.control_world(world, "advance", ticks=8)
        client.control_world(world, "reset", seed=10)
        client.control_world(world, "advance", ticks=4)
        assert client.control_world(world, "record_stop").detail == "mine.take"
    take = read_take(local.server.config.takes / "mine.take")
    assert take.header.seed == 9
    assert [block.block for block in take.blocks] == [0, 1, 2, 3, 4, 5, 0]
    assert [cue.label for cue in take.cues] == ["a fox"]
    assert take.ended


def test_a_disk_that_fails_ends_the_recording_and_nothing_else(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    import test_take

    monkeypatch.setattr("longtake.runtime.recorder.TakeWriter", test_take.FullDisk)
    local = start()
    with RawClient(local) as client:
        world = client.open(mode="lockstep").world
        client.control_world(world, "record_start", path="full")
        client.control_world(world, "advance", ticks=40)
        told = [m.text for m in client.seen if isinstance(m, messages.Notice) and m.kind == "recording"]
        assert len(told) == 2
        assert "No space left" in told[1]
        assert client.wait(messages.Status).recording == ""
        assert client.control_world(world, "advance", ticks=4).tick == 44


def test_a_vanished_clients_world_is_kept_rejoined_and_in_the_end_closed(start: Start) -> None:
    local = start(heartbeat_s=0.2, keep_s=1.5)
    client = RawClient(local)
    world = client.open(mode="lockstep", seed=3).world
    client.control_world(world, "advance", ticks=8)
    client.vanish()
    hosted = local.server.hosting.find(world)
    until = time.monotonic() + 20
    while hosted.members and time.monotonic() < until:
        time.sleep(0.02)
    assert hosted.members == []
    with RawClient(local) as again:
        joined = again.ask(messages.Join, messages.Joined, world=world, role="director")
        assert (joined.tick, joined.seed) == (8, 3)
        assert again.control_world(world, "advance", ticks=4).tick == 12
        again.send(messages.Goodbye())
    with RawClient(local) as watcher:
        until = time.monotonic() + 20
        while watcher.ask(messages.Worlds, messages.WorldList).worlds and time.monotonic() < until:
            watcher.send(messages.Heartbeat(sent=0.0))
            time.sleep(0.05)
        assert watcher.ask(messages.Worlds, messages.WorldList).worlds == []


def test_leaving_lets_the_world_go_on(start: Start) -> None:
    local = start()
    with RawClient(local) as client:
        world = client.open().world
        client.ask(messages.Leave, messages.Done, world=world)
        assert client.ask(messages.Prompt, messages.Ack, world=world, text="x").code == "unknown_world"
        assert client.ask(messages.Join, messages.Joined, world=world).role == "viewer"


def test_closing_is_told_to_everybody(start: Start) -> None:
    local = start()
    with RawClient(local) as director, RawClient(local) as viewer:
        world = director.open().world
        viewer.ask(messages.Join, messages.Joined, world=world)
        assert isinstance(director.control_world(world, "close"), messages.Done)
        assert viewer.wait(messages.Notice, kind="closed").world == world
        assert director.ask(messages.Worlds, messages.WorldList).worlds == []


def test_the_end_of_the_server_is_told(start: Start) -> None:
    with local_server("fake", in_process=True, factory="fakes:load", endpoint="tcp://127.0.0.1:0") as local:
        client = RawClient(local)
        world = client.open().world
    assert client.wait(messages.Notice, kind="shutdown").world == world
    assert client.wait(messages.Goodbye)
    client.vanish()


def test_heartbeats_are_answered(start: Start) -> None:
    local = start(heartbeat_s=0.3)
    with RawClient(local) as client:
        client.send(messages.Heartbeat(sent=12.5))
        assert client.wait(messages.Heartbeat, reply=True).sent == 12.5
        assert client.wait(messages.Heartbeat, reply=False)


def test_a_port_in_use_is_one_clear_line(start: Start) -> None:
    local = start()
    second = Server(ServerConfig(endpoint=local.endpoint, generator=GeneratorConfig(models=("fake",), factory="f:f")))
    with pytest.raises(ServerError, match=r"is in use: another server may be running there") as error:
        second.bind()
    assert "\n" not in str(error.value)


def test_only_loopback_is_bound() -> None:
    server = Server(
        ServerConfig(endpoint="tcp://0.0.0.0:0", generator=GeneratorConfig(models=("fake",), factory="f:f"))
    )
    with pytest.raises(EndpointError, match="ssh -L"):
        server.bind()


def test_a_model_that_does_not_load_is_one_clear_line(start: Start) -> None:
    with pytest.raises(ServerError, match=r"could not be started: the weights are missing: weights\.bin"):
        start(fake={"fail_to_load": "the weights are missing: weights.bin"})
