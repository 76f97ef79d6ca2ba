"""Frames over real sockets: who gets them, in which order, against which credit."""

import io
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image
from raw_client import RawClient

from longtake.clients.session import Session, ZmqTransport
from longtake.protocol import messages, wire
from longtake.runtime.server import publisher
from tests.reach import reach

Start = Callable[..., Any]


def test_a_live_world_keeps_its_pace(start: Start) -> None:
    local = start()
    with Session.connect(reach(local)) as session:
        world = session.open(model="fake", prompt="x", delivery="every")
        begun = time.monotonic()
        pictures = [world.next_picture() for _ in range(33)]
        took = time.monotonic() - begun
        assert 1.7 < took < 6, "32 ticks are two seconds"
        assert [p.header.number for p in pictures] == list(range(33))


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
        made = local.server.worlds.find(world).world.plan.made
        assert made * 4 <= 24
        client.credit(world, 100)
        assert [client.frame_message()[0].tick for _ in range(17)] == list(range(3, 20))
        assert client.wait(messages.Done, request=90).tick == 20


def test_an_offline_world_goes_as_fast_as_its_frames_are_taken(start: Start) -> None:
    local = start()
    with RawClient(local) as client:
        world = client.open(mode="offline").world
        room = local.server.worlds.find(world)
        time.sleep(0.3)
        assert room.world.playback.tick == 0, "nobody takes its frames yet"
        client.subscribe(world, delivery="every", credit=50)
        ticks = [client.frame_message()[0].tick for _ in range(50)]
        assert ticks == list(range(50))
        assert client.no_frame()
        assert room.world.plan.made <= 50 // 4 + 4
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

    from longtake.model.interface import Conditioning

    model = FakeModel()
    expected = model.step(model.open(seed=5, conditioning=Conditioning(prompt="a red balloon"))).frames[0]
    with RawClient(local) as client:
        world = client.open(mode="lockstep", seed=5).world
        client.subscribe(world, delivery="every", credit=4)
        client.control_world(world, "advance", ticks=4)
        for index in range(4):
            frame, pixels = client.frame_message()
            rows = np.frombuffer(pixels, np.uint8).reshape(frame.height, frame.width, 3)
            assert np.array_equal(rows, expected[index])


def test_a_slow_every_viewer_of_a_live_world_is_let_go_and_the_world_goes_on(start: Start) -> None:
    from longtake.runtime.server.limits import Limits

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


def blocked_at_five(client: RawClient) -> str:
    """Open a lockstep world whose `advance 40` stands at tick 5 for want of credit."""
    world: str = client.open(mode="lockstep").world
    client.subscribe(world, delivery="every", credit=5)
    client.send(messages.Control(request=900, world=world, action="advance", ticks=40))
    assert [client.frame_message()[0].tick for _ in range(5)] == list(range(5))
    client.wait(messages.Status, tick=5, waiting_for=["raw"])
    return world


def test_a_new_frame_socket_of_the_session_takes_the_subscription_over(start: Start) -> None:
    with RawClient(start()) as client:
        world = blocked_at_five(client)
        client.connect_frames()
        client.subscribe(world, delivery="every", credit=100)
        assert [client.frame_message()[0].tick for _ in range(35)] == list(range(5, 40)), "nothing is lost"
        assert client.wait(messages.Done, request=900).tick == 40
        assert client.wait(messages.Status, tick=40).waiting_for == []


def test_the_old_frame_socket_gets_no_more_and_its_credit_an_error(start: Start) -> None:
    with RawClient(start()) as client:
        world = blocked_at_five(client)
        old, client.frames = client.frames, None
        client.subscribe(world, delivery="every", credit=100)
        new, client.frames = client.frames, old
        client.credit(world, 3)
        error = client.frame_message()[0]
        assert (error.code, error.retryable, error.world, error.request) == ("not_subscribed", True, world, None)
        assert client.no_frame(0.1)
        client.frames = new
        assert client.frame_message()[0].tick == 5
        old.close()


def test_a_subscription_is_replaced_from_its_own_connection_too(start: Start) -> None:
    with RawClient(start()) as client:
        world = blocked_at_five(client)
        assert client.subscribe(world, delivery="every", encoding="jpeg", credit=0).encoding == "jpeg"
        client.subscribe(world, delivery="every", credit=100)
        assert [client.frame_message()[0].tick for _ in range(35)] == list(range(5, 40))
        assert client.wait(messages.Done, request=900).tick == 40


def test_two_sessions_may_share_a_frame_connection_and_the_newest_has_it(start: Start) -> None:
    local = start()
    with RawClient(local) as client, RawClient(local) as other:
        world = client.open(mode="lockstep").world
        client.subscribe(world, delivery="every", credit=5)
        other.ask(messages.Join, messages.Joined, world=world)
        other.frames = client.frames
        assert other.subscribe(world, credit=5).world == world
        assert client.subscribe(world, delivery="every", credit=9).world == world
        client.control_world(world, "advance", ticks=4)
        assert [client.frame_message()[0].tick for _ in range(4)] == list(range(4))
        assert client.control_world(world, "pause").world == world, "the server lives"


def test_a_fault_on_the_frame_socket_is_an_error_and_the_server_lives(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Any, **_: Any) -> None:
        raise KeyError("gone")

    with RawClient(start()) as client:
        world = client.open(mode="lockstep").world
        with monkeypatch.context() as patch:
            patch.setattr(publisher.Publisher, "subscribe", fail)
            error = client.subscribe(world)
        assert (error.code, error.request, error.retryable) == ("internal", client.requests, True)
        assert client.subscribe(world).world == world


def test_a_lost_frame_connection_is_told_again(start: Start) -> None:
    with RawClient(start()) as client:
        world = blocked_at_five(client)
        client.frames.close()
        client.frames = None
        for _ in range(2):
            assert client.wait(messages.Error, timeout_s=10, code="not_subscribed").world == world


@pytest.mark.parametrize("world", ["", "w99", "../x"])
def test_credit_without_a_subscription_is_an_error(start: Start, world: str) -> None:
    with RawClient(start()) as client:
        mine = client.open(mode="lockstep").world
        client.connect_frames()
        client.credit(world or mine, 3)
        error = client.frame_message()[0]
        assert error.code == ("invalid" if "/" in world else "not_subscribed")


def test_a_frame_connection_that_is_gone_is_noticed_and_in_the_end_not_waited_for(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publisher, "LOST_S", 0.5)
    with RawClient(start()) as client:
        world = client.open(mode="lockstep").world
        client.subscribe(world, delivery="every", credit=100)
        client.frames.close()
        client.frames = None
        time.sleep(0.2)
        client.send(messages.Control(request=900, world=world, action="advance", ticks=40))
        assert client.wait(messages.Error, code="not_subscribed").world == world
        assert client.wait(messages.Status, waiting_for=["raw"]).tick < 40
        assert client.wait(messages.Done, request=900).tick == 40


def test_a_frame_connection_lost_without_credit_is_noticed_and_taken_up_again(start: Start) -> None:
    with RawClient(start()) as client:
        world = blocked_at_five(client)
        client.frames.close()
        client.frames = None
        error = client.wait(messages.Error, timeout_s=10, code="not_subscribed")
        assert (error.world, error.retryable) == (world, True)
        assert client.wait(messages.Status, tick=5).waiting_for == ["raw"], "it is still waited for"
        client.subscribe(world, delivery="every", credit=100)
        assert [client.frame_message()[0].tick for _ in range(35)] == list(range(5, 40)), "nothing is lost"
        assert client.wait(messages.Done, request=900).tick == 40


def test_a_quiet_frame_connection_is_tried_with_a_heartbeat(start: Start) -> None:
    with RawClient(start()) as client:
        blocked_at_five(client)
        assert client.frames.poll(10_000)
        message = wire.decode(client.frames.recv(), messages.FromServerFrames)
        assert isinstance(message, messages.Heartbeat)
        assert message.reply, "nobody has to answer it"


def test_a_director_that_becomes_a_viewer_is_waited_for_no_longer(start: Start) -> None:
    local = start()
    with RawClient(local) as first, RawClient(local) as second:
        world = first.open(mode="lockstep").world
        second.ask(messages.Join, messages.Joined, world=world, role="director")
        second.subscribe(world, delivery="every", credit=0)
        first.send(messages.Control(request=900, world=world, action="advance", ticks=8))
        assert first.wait(messages.Status, waiting_for=["raw"]).tick == 0
        second.ask(messages.Join, messages.Joined, world=world, role="viewer")
        assert first.wait(messages.Done, request=900, timeout_s=10).tick == 8


def test_a_viewer_that_becomes_a_director_is_waited_for(start: Start) -> None:
    local = start()
    with RawClient(local) as first, RawClient(local) as second:
        world = first.open(mode="offline").world
        second.ask(messages.Join, messages.Joined, world=world, role="viewer")
        second.subscribe(world, delivery="every", credit=100)
        assert second.no_frame(), "an offline world runs for directors only"
        second.ask(messages.Join, messages.Joined, world=world, role="director")
        assert [second.frame_message()[0].tick for _ in range(100)] == list(range(100))
        assert second.no_frame()


def test_an_offline_world_without_a_reader_names_its_directors(start: Start) -> None:
    with RawClient(start()) as client:
        world = client.open(mode="offline").world
        assert client.wait(messages.Status).waiting_for == ["raw"]
        client.subscribe(world, delivery="every", credit=8)
        assert [client.frame_message()[0].tick for _ in range(8)] == list(range(8))


def test_a_session_survives_the_loss_of_its_frame_connection(start: Start) -> None:
    """As after a TCP break that ZeroMQ mends by itself: the socket's identity is new, and nobody is told."""
    with Session.connect(reach(start())) as session:
        world = session.open(model="fake", prompt="x", mode="lockstep", delivery="every", buffer_frames=8)
        assert len(world.advance(4)) == 4
        transport = session._connection._transport
        assert isinstance(transport, ZmqTransport)
        broken = threading.Event()

        def break_once() -> None:  # on the connection's own thread
            if not broken.is_set():
                endpoint = transport._frames.last_endpoint
                transport._frames.disconnect(endpoint)
                transport._frames.connect(endpoint)
                broken.set()

        world.listen(break_once)
        assert broken.wait(10)
        assert [p.header.tick for p in world.advance(24)][-1] == 27
        assert [p.header.tick for p in world.advance(24)] == list(range(28, 52))
