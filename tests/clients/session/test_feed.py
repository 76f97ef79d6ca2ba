"""Pictures as a session delivers them: latest and every, raw and JPEG, credit on the wire, lockstep."""

import time

import numpy as np
import pytest

from longtake.clients.session import Session
from longtake.clients.session.picture import decode_picture
from longtake.protocol import messages as m
from longtake.protocol.errors import ProtocolError, Refused, RequestTimeout
from tests.clients.fake_server import HEIGHT, WIDTH, FakeServer, colour
from tests.reach import reach


def connect(server: FakeServer, **options) -> Session:
    return Session.connect(reach(server), **options)


def credit_left(server: FakeServer) -> int:
    (subscription,) = server.subscriptions.values()
    return subscription.credit


@pytest.mark.parametrize("encoding", ["raw", "jpeg"])
def test_every_picture_arrives_in_order(fake_server, encoding):
    with connect(fake_server) as session:
        world = session.open(delivery="every", mode="offline", encoding=encoding, buffer_frames=8)
        fake_server.publish("w1", 40)
        pictures = [world.next_picture(5) for _ in range(40)]
        assert [p.header.tick for p in pictures] == list(range(40))
        assert world.missed == 0
    for picture in pictures:
        assert (picture.pixels.shape, picture.pixels.dtype) == ((HEIGHT, WIDTH, 3), np.uint8)
        difference = np.abs(picture.pixels.astype(int) - colour(picture.header.tick))
        assert difference.max() <= (0 if encoding == "raw" else 6)
        picture.pixels[0, 0] = 0  # the receiver's own


def test_a_reader_that_stops_stops_the_server(fake_server):
    with connect(fake_server) as session:
        world = session.open(delivery="every", mode="offline", buffer_frames=8)
        fake_server.publish("w1", 20)
        time.sleep(0.1)
        assert credit_left(fake_server) == 0
        (subscription,) = fake_server.subscriptions.values()
        assert len(subscription.waiting) == 12
        assert [world.next_picture(5).header.tick for _ in range(20)] == list(range(20))


def test_latest_gives_the_newest_and_the_server_goes_on(fake_server):
    with connect(fake_server) as session:
        world = session.open(delivery="latest")
        assert world.latest() is None
        for _ in range(10):
            fake_server.publish("w1", 3)
        until = time.monotonic() + 5
        while (world.latest() is None or world.latest().header.tick < 29) and time.monotonic() < until:
            time.sleep(0.01)
        newest = world.latest()
        assert newest.header.tick == 29
        assert world.latest() is newest
        assert credit_left(fake_server) <= 2
        with pytest.raises(RequestTimeout, match="a picture of w1 did not come within"):
            world.next_picture(0.05)


def test_latest_of_every_takes_all(fake_server):
    with connect(fake_server) as session:
        world = session.open(delivery="every", mode="offline", buffer_frames=4)
        fake_server.publish("w1", 4)
        world.wait(lambda w: len(w._buffer) == 4, "four pictures", 5)
        assert world.latest().header.tick == 3
        assert world.take_picture() is None


def test_a_live_world_with_every_is_resumed_once_subscribed(fake_server):
    with connect(fake_server) as session:
        session.open(delivery="every")
        assert fake_server.got["open"][0].paused
        assert [c.action for c in fake_server.got["control"]] == ["resume"]
        session.open(delivery="every", paused=True)
        assert len(fake_server.got["control"]) == 1


@pytest.mark.parametrize(("delivery", "expected"), [("every", list(range(30, 70))), ("latest", [69]), (None, [])])
def test_advance_returns_the_pictures_of_its_ticks(fake_server, delivery, expected):
    with connect(fake_server) as session:
        world = session.open(delivery=delivery, mode="lockstep", buffer_frames=16)
        world.advance(30)
        ticks = [p.header.tick for p in world.advance(40)]
        assert ticks[-len(expected) or len(ticks) :] == expected
        if delivery == "every":
            assert ticks == expected


def test_advance_drops_older_pictures(fake_server):
    with connect(fake_server) as session:
        world = session.open(delivery="every", mode="lockstep")
        fake_server.publish("w1", 5)
        assert [p.header.tick for p in world.advance(2)] == [5, 6]


def test_without_pictures_asking_for_one_says_so(fake_server):
    with connect(fake_server) as session:
        world = session.open(delivery=None)
        with pytest.raises(ValueError, match="delivery='latest' or 'every'"):
            world.next_picture()
        assert world.latest() is None
        assert fake_server.got["subscribe"] == []


def frame(**changes) -> m.Frame:
    fields = {"world": "w", "generation": 0, "number": 1, "tick": 1, "block": 0, "cue": 0, "height": 2, "width": 3}
    return m.Frame(**{**fields, "encoding": "raw", **changes})


@pytest.mark.parametrize(
    ("header", "payload"),
    [
        (frame(), b"x" * 17),
        (frame(), b""),
        (frame(height=0), b""),
        (frame(height=2**30, width=2**30), b"x"),
        (frame(height=-2, width=-3), b"x" * 18),
        (frame(encoding="jpeg"), b"no jpeg"),
        (frame(encoding="jpeg"), b"\xff\xd8\xff\xe0" + b"\0" * 40),
    ],
)
def test_pixels_that_contradict_their_header_are_refused(header, payload):
    with pytest.raises(ProtocolError):
        decode_picture(header, payload)


def test_a_jpeg_of_another_size_or_cut_short_is_refused(fake_server):
    world = m.Open(request=1)
    from tests.clients.fake_server import FakeWorld

    _, file = fake_server._frame(FakeWorld(opened=world, name="w"), 3, False, "jpeg")
    good = frame(encoding="jpeg", height=HEIGHT, width=WIDTH)
    assert decode_picture(good, file).pixels.shape == (HEIGHT, WIDTH, 3)
    for header, payload in ((frame(encoding="jpeg"), file), (good, file[: len(file) // 2])):
        with pytest.raises(ProtocolError):
            decode_picture(header, payload)


def test_being_too_slow_is_said_when_the_pictures_run_out(fake_server):
    with connect(fake_server) as session:
        world = session.open(delivery="every", mode="offline")
        fake_server.publish("w1", 2)
        error = m.Error(code="too_slow", message="subscribe again", retryable=True, world="w1")
        fake_server.do(lambda: [fake_server._send(p, error, fake_server.frames) for p, _ in fake_server.subscriptions])
        world.wait(lambda w: w.no_more_pictures is not None, "the error", 5)
        assert [world.next_picture(5).header.tick for _ in range(2)] == [0, 1]
        with pytest.raises(Refused, match="subscribe again"):
            world.next_picture(5)
        assert world.prompt("the world goes on").cue == 1
        world.subscribe()
        world.subscribed.result(5)
        fake_server.publish("w1", 1)
        assert world.next_picture(5).header.tick == 2
