"""Frames over real sockets: who gets them, in which order, against which credit."""

import io
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image
from raw_client import RawClient

from longtake.clients.session import Session
from longtake.protocol import messages
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
