"""The watching half of a world: its pictures, the credit they cost, and all waiting.

Thread-safe. Written by the connection's thread, read by anybody; `World` adds the steering half.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any, Protocol, TypeVar

from longtake.clients.session.frame_buffer import FrameBuffer, Item
from longtake.clients.session.pending_requests import hand_on
from longtake.clients.session.picture import Picture, decode_picture
from longtake.protocol.errors import ConnectionLost, LongtakeError, RequestTimeout, SessionClosed, WorldClosed
from longtake.protocol.messages import Credit, Delivery, Encoding, Frame, Message, Subscribe, Subscribed, Unsubscribe

logger = logging.getLogger(__name__)

FRAMES_TIMEOUT_S = 30.0
"""default limit for waiting for a picture"""
SUBSCRIBE_AGAIN_S = 1.0
"""a subscription that is not answered for so long was lost, if the server still misses it"""

T = TypeVar("T")


class RequestChannel(Protocol):
    """What a world needs of its session."""

    request_timeout_s: float

    def ask(self, kind: type[Message], answer: type[T], **fields: Any) -> "Future[T]":
        """Send a request, filled with the next number; the future holds its answer."""

    def tell(self, message: Message) -> None:
        """Send a message without an answer on the control socket."""

    def tell_frames(self, message: Message) -> None:
        """Send a message without an answer on the frame socket."""

    def session_id(self) -> str:
        """Return the session id from the server's welcome."""

    def forget(self, world: str) -> None:
        """The world has ended: pass nothing more to it."""


class Feed:
    """The pictures of one world, as one client receives them."""

    def __init__(
        self, channel: RequestChannel, name: str, *, generation: int, encoding: Encoding, buffer: FrameBuffer | None
    ) -> None:
        self._channel = channel
        self._name = name
        self._encoding: Encoding = encoding
        self._buffer = buffer
        self._changed = threading.Condition()
        self._listeners: list[Callable[[], object]] = []
        self._latest: Picture | None = None
        self._ended: LongtakeError | None = None
        self._unsubscribed: LongtakeError | None = None
        self.generation = generation
        """counts the resets of the world; anything of an older generation is discarded"""
        self.subscribed: Future[Subscribed] | None = None
        """the answer to the latest subscription; None without pictures"""
        self.renewals = 0
        """how often a lost frame connection was mended; pictures that were on their way are lost then"""
        self._subscribed_at = 0.0

    @property
    def name(self) -> str:
        """The world's name at the server."""
        return self._name

    @property
    def ended(self) -> LongtakeError | None:
        """Why the world can no longer be used, or None while it can."""
        return self._ended

    @property
    def no_more_pictures(self) -> LongtakeError | None:
        """Why no more pictures will arrive, or None while they may. Buffered ones can still be taken."""
        return self._ended or self._unsubscribed

    @property
    def missed(self) -> int:
        """With `every`: frames published but never received. 0 unless the connection was lost for a while."""
        return self._buffer.missed if self._buffer else 0

    @property
    def has_pictures(self) -> bool:
        """Whether the world was opened or joined with a delivery."""
        return self._buffer is not None

    def need_pictures(self) -> None:
        """Raise `ValueError` if the world was joined without pictures."""
        if self._buffer is None:
            raise ValueError(f"{self.name} was joined without pictures; join it with delivery='latest' or 'every'")

    def too_late(self, what: str, timeout_s: float) -> RequestTimeout:
        """Return the error for something that did not arrive in time; it says what state the world is in."""
        return RequestTimeout(f"{what} did not come within {timeout_s:g} s; {self._state()}")

    def frames(self, timeout_s: float = FRAMES_TIMEOUT_S) -> Iterator[Picture]:
        """Yield pictures as they come, until the world or the session is closed.

        Raises `RequestTimeout` if none comes for `timeout_s`, e.g. because the world is paused.
        """
        while True:
            try:
                picture = self.next_picture(timeout_s)
            except (WorldClosed, SessionClosed):
                return
            yield picture

    def next_picture(self, timeout_s: float = FRAMES_TIMEOUT_S) -> Picture:
        """Wait for the next picture: with `every` the oldest not yet taken, with `latest` a newer one."""
        picture = self._next(timeout_s)
        assert picture is not None
        return picture

    def take_picture(self) -> Picture | None:
        """`next_picture` without waiting: None if there is none."""
        with self._changed:
            item = self._take()
        return self._decode(item) if item else None

    def latest(self) -> Picture | None:
        """Return the newest picture, the same object until a newer one comes; None before the first.

        Never waits. With `every` this takes all pictures that wait and returns the last.
        """
        newest = None
        with self._changed:
            while (item := self._take()) is not None:
                newest = item
        return self._decode(newest) if newest else self._latest

    def listen(self, listener: Callable[[], object]) -> Callable[[], None]:
        """Call `listener` on the connection's thread whenever something arrives. Call the result to stop that."""
        with self._changed:
            self._listeners = [*self._listeners, listener]
        return lambda: self._unlisten(listener)

    # --- called by the session, on the connection's thread -------------------------------------------------

    def subscribe(self, *, newest: bool = False) -> None:
        """Subscribe to the pictures, with as much credit as the buffer has room; also again after `too_slow`.

        With `newest` the picture on show is sent too, as it may have been lost. One that is here is not kept twice.
        """
        if self._buffer is None:
            return
        with self._changed:  # held while sending, so that no credit is sent in between
            self._unsubscribed = None
            self._subscribed_at = time.monotonic()
            credit = self._buffer.initial_credit()
            if newest and self._buffer.delivery == "every" and credit > 0:
                credit -= 1
                self._ask_to_subscribe("latest", 1)
            self.subscribed = self._ask_to_subscribe(self._buffer.delivery, credit)

    def subscribe_again(self) -> None:
        """The frame connection was lost and made again: subscribe on the new one, unless that is under way.

        A subscription without an answer may have been lost with yet another connection, so it is repeated in time.
        """
        before = self.subscribed
        under_way = before is None or not before.done()
        lately = time.monotonic() - self._subscribed_at < SUBSCRIBE_AGAIN_S
        if (under_way and lately) or self.no_more_pictures is not None:
            return
        self.subscribe()
        self.renewals += 1
        self.notify()
        if under_way and before is not None and self.subscribed is not None:
            self.subscribed.add_done_callback(lambda answered: hand_on(answered, before))

    def on_frame(self, header: Frame, payload: memoryview) -> None:
        """A frame arrived."""
        if self._buffer is None:
            return
        with self._changed:
            self._enter(header.generation)
            self._give(self._buffer.put(header, payload) + self._buffer.drop_before(self.generation))
        self.notify()

    def on_unsubscribed(self, reason: LongtakeError) -> None:
        """The server sends no more pictures; the world itself goes on."""
        with self._changed:
            self._unsubscribed = reason
        self.notify()

    def end(self, reason: LongtakeError) -> None:
        """The world can no longer be used. Buffered pictures can still be taken."""
        with self._changed:
            first, self._ended = self._ended is None, self._ended or reason
        if first:
            if self._buffer is not None and isinstance(reason, WorldClosed):
                self._tell_frames(Unsubscribe(world=self.name))
            self._channel.forget(self.name)
        self.notify()

    def notify(self) -> None:
        """Something arrived: wake whoever waits."""
        with self._changed:
            self._changed.notify_all()
            listeners = self._listeners
        for listener in listeners:
            try:
                listener()
            except Exception:  # a bug in a listener must not end the connection's thread
                logger.exception("a listener of %s failed", self.name)

    # --- inside --------------------------------------------------------------------------------------------

    def _ask_to_subscribe(self, delivery: Delivery, credit: int) -> "Future[Subscribed]":
        return self._channel.ask(
            Subscribe,
            Subscribed,
            session=self._channel.session_id(),
            world=self.name,
            delivery=delivery,
            encoding=self._encoding,
            credit=credit,
        )

    def _next(self, timeout_s: float, unless: Callable[[], bool] = lambda: False) -> Picture | None:
        """Wait for the next picture; None if `unless()` holds before one comes."""
        self.need_pictures()
        item: Item | None = None

        def is_over() -> bool:
            nonlocal item
            item = self._take()
            return item is not None or unless()

        self._wait(is_over, f"a picture of {self.name}", timeout_s, lambda: self.no_more_pictures)
        return self._decode(item) if item else None

    def _wait(
        self,
        condition: Callable[[], bool],
        what: str,
        timeout_s: float,
        hopeless: Callable[[], LongtakeError | None],
    ) -> None:
        """Wait until `condition()` holds; raise what `hopeless` returns, or `RequestTimeout`."""
        until = time.monotonic() + timeout_s
        with self._changed:
            while not condition():
                if (reason := hopeless()) is not None:
                    raise reason
                left_s = until - time.monotonic()
                if left_s <= 0:
                    raise self.too_late(what, timeout_s)
                self._changed.wait(left_s)

    def _state(self) -> str:
        """Return half a sentence for errors: the state of the world, and what to do."""
        return "look at the server's log"

    def _take(self) -> Item | None:
        if self._buffer is None:
            return None
        item, credit = self._buffer.take()
        self._give(credit)
        return item

    def _decode(self, item: Item) -> Picture:
        self._latest = decode_picture(*item)
        return self._latest

    def _give(self, credit: int) -> None:
        if credit and self._ended is None:
            self._tell_frames(Credit(world=self.name, frames=credit))

    def _tell_frames(self, message: Message) -> None:
        try:
            self._channel.tell_frames(message)
        except (ConnectionLost, SessionClosed):
            # a new connection subscribes again, with all free credit
            logger.debug("not sent, the connection is lost: %s", message)

    def _enter(self, generation: int) -> None:
        """Switch to a newer generation and discard what is left of older ones."""
        if generation <= self.generation:
            return
        self.generation = generation
        self._latest = None
        if self._buffer is not None:
            self._give(self._buffer.drop_before(generation))

    def _unlisten(self, listener: Callable[[], object]) -> None:
        with self._changed:
            self._listeners = [other for other in self._listeners if other != listener]
