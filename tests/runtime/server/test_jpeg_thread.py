"""JPEGs are made beside the loop: once for everybody, in order, and never at the cost of a deadline."""

import io
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import zmq
from PIL import Image
from raw_client import RawClient

from longtake.protocol import messages
from longtake.runtime.clock import MonotonicClock
from longtake.runtime.server import jpeg_thread
from longtake.runtime.server.jpeg_thread import JpegThread
from longtake.runtime.server.limits import Limits, TokenBucket
from longtake.runtime.server.publisher import Publisher
from longtake.runtime.server.sessions import Client
from longtake.runtime.world.effects import Publish
from longtake.runtime.world.outgoing_frame import OutgoingFrame

Start = Callable[..., Any]


def picture(tick: int) -> OutgoingFrame:
    return OutgoingFrame(pixels=memoryview(bytes(12)), height=2, width=2, tick=tick, block=0, cue=0)


class HandEncoder:
    """Stands in for the thread: pictures are finished when the test says so."""

    def __init__(self) -> None:
        self.asked: list[OutgoingFrame] = []
        self.finished = False

    def ask(self, picture: OutgoingFrame) -> None:
        if not picture.jpeg_asked:
            picture.jpeg_asked = True
            self.asked.append(picture)

    def drain_finished(self) -> bool:
        self.finished, was = False, self.finished
        return was

    def finish(self, data: bytes = b"file") -> None:
        next(p for p in self.asked if p.jpeg is None).jpeg = data
        self.finished = True


class Desk:
    """A publisher whose socket and encoder are the test's."""

    def __init__(self) -> None:
        self.encoder = HandEncoder()
        self.sent: list[tuple[bytes, int]] = []
        self.publisher = Publisher(self, MonotonicClock(), Limits(), self.encoder, lambda client, message: None)  # type: ignore[arg-type]
        self.number = 0

    def send_multipart(self, parts: list[Any], *_: Any, **__: Any) -> None:
        identity, header, *_rest = parts
        self.sent.append((identity, messages_number(header)))

    def subscribe(self, identity: bytes, delivery: messages.Delivery, credit: int) -> None:
        bucket = TokenBucket(1, 1)
        client = Client(identity=identity, token="t", name="n", heard=0, cues=bucket, messages=bucket)
        self.publisher.subscribe(
            client=client,
            identity=identity,
            world="w",
            delivery=delivery,
            encoding="jpeg",
            credit=credit,
            mode="live",
            frame_bytes=12,
        )

    def show(self, shown: OutgoingFrame | None = None, held: bool = False) -> OutgoingFrame:
        shown = shown or picture(self.number)
        self.publisher.publish("w", Publish(frame=shown, number=self.number, generation=0, held=held, stale=False))
        self.number += 1
        return shown

    def finish(self, data: bytes = b"file") -> None:
        self.encoder.finish(data)
        self.publisher.encoded()


def messages_number(header: bytes) -> int:
    from longtake.protocol import wire

    return wire.decode_as(header, messages.Frame).number


def test_every_keeps_the_order_and_the_credit() -> None:
    desk = Desk()
    desk.subscribe(b"a", "every", credit=3)
    for _ in range(5):
        desk.show()
    assert desk.sent == []
    assert len(desk.encoder.asked) == 1, "one after another, the oldest first"
    for _ in range(3):
        desk.finish()
    assert [number for _, number in desk.sent] == [0, 1, 2]
    assert len(desk.encoder.asked) == 3, "nothing is encoded that nobody may be sent"
    desk.publisher.credit(b"a", "w", 2)
    desk.finish()
    desk.finish()
    assert [number for _, number in desk.sent] == [0, 1, 2, 3, 4]


def test_one_file_serves_everybody_and_a_held_picture_is_not_encoded_again() -> None:
    desk = Desk()
    for identity in (b"a", b"b", b"c"):
        desk.subscribe(identity, "latest", credit=9)
    shown = desk.show()
    desk.finish()
    desk.show(shown, held=True)
    assert len(desk.encoder.asked) == 1
    assert sorted(desk.sent) == [(identity, number) for identity in (b"a", b"b", b"c") for number in (0, 1)]


def test_latest_is_the_newest_even_where_the_encoder_is_slower_than_the_frames() -> None:
    desk = Desk()
    desk.subscribe(b"a", "latest", credit=9)
    for _ in range(4):
        desk.show()
    desk.finish()
    assert desk.sent == [(b"a", 0)], "the one that was being encoded"
    for _ in range(4):
        desk.show()
    desk.finish()
    assert desk.sent == [(b"a", 0), (b"a", 3)], "begun when the one before was finished, and the newest then"
    desk.finish()
    assert desk.sent == [(b"a", 0), (b"a", 3), (b"a", 7)]


def test_without_credit_nothing_is_encoded_and_the_newest_wins() -> None:
    desk = Desk()
    desk.subscribe(b"a", "latest", credit=0)
    for _ in range(4):
        desk.show()
    assert desk.encoder.asked == []
    desk.publisher.credit(b"a", "w", 1)
    desk.finish()
    assert desk.sent == [(b"a", 3)]


def test_what_was_being_encoded_when_a_take_was_reset_is_not_sent() -> None:
    desk = Desk()
    desk.subscribe(b"a", "every", credit=9)
    desk.show()
    desk.publisher.drop_waiting("w")
    desk.finish()
    assert desk.sent == []


def test_a_picture_that_cannot_be_encoded_is_left_out() -> None:
    desk = Desk()
    desk.subscribe(b"a", "every", credit=1)
    desk.show()
    desk.show()
    desk.finish(b"")
    desk.finish()
    assert desk.sent == [(b"a", 1)], "and has cost no credit"


@pytest.fixture
def context() -> Iterator[Any]:
    made: Any = zmq.Context()
    yield made
    made.term()


def test_the_thread_makes_each_once_and_outlives_a_failure(context: Any, caplog: pytest.LogCaptureFixture) -> None:
    made: list[tuple[int, int]] = []

    def encode(pixels: memoryview, height: int, width: int) -> bytes:
        assert threading.current_thread() is not threading.main_thread()
        made.append((height, width))
        if len(made) == 1:
            raise OSError("no")
        return b"file"

    jpegs = JpegThread(context, encode)
    bad, good = picture(0), picture(1)
    for _ in range(3):
        jpegs.ask(bad)
        jpegs.ask(good)
    until = time.monotonic() + 20
    while good.jpeg is None and time.monotonic() < until:
        jpegs.socket.poll(100)
    assert (bad.jpeg, good.jpeg, len(made)) == (b"", b"file", 2)
    assert "left out" in caplog.text
    while not jpegs.drain_finished() and time.monotonic() < until:
        time.sleep(0.01)
    jpegs.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "server-jpeg"]


def test_a_slow_encoder_costs_no_deadline(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(pixels: memoryview, height: int, width: int) -> bytes:
        time.sleep(0.25)  # four ticks
        return jpeg_thread.encode_jpeg(pixels, height, width)

    local = start()
    monkeypatch.setattr(local.server._jpegs, "_encode", slow)
    with RawClient(local) as director, RawClient(local) as viewer:
        world = director.open(paused=True).world
        director.subscribe(world, delivery="every", credit=1000)
        viewer.ask(messages.Join, messages.Joined, world=world)
        viewer.subscribe(world, delivery="latest", encoding="jpeg", credit=4)
        director.control_world(world, "resume")
        ticks = []
        while len(ticks) < 4:
            frame, data = viewer.frame_message()
            assert Image.open(io.BytesIO(data)).size == (frame.width, frame.height)
            ticks.append(frame.tick)
        assert ticks == sorted(set(ticks))
        assert ticks[-1] >= 8, "it is sent the newest, not a queue"
        raw = [director.frame_message()[0].tick for _ in range(12)]
        assert raw == sorted(raw)
        playback = local.server.worlds.find(world).world.playback
        assert playback.skipped * 2 < playback.shown, "on the loop every encoding would skip three deadlines"


def test_lockstep_over_jpeg_gives_every_tick(start: Start) -> None:
    local = start()
    with RawClient(local) as client:
        world = client.open(mode="lockstep").world
        client.subscribe(world, delivery="every", encoding="jpeg", credit=100)
        assert client.control_world(world, "advance", ticks=40).tick == 40
        assert [client.frame_message()[0].tick for _ in range(40)] == list(range(40))
