"""The frame socket: subscriptions, their credit, and sending frames against it.

`latest`: the newest frame waits for credit, and older ones are dropped. A frame that is being encoded is still sent;
otherwise an encoder slower than the frame rate would never finish one. `every`: all frames wait, in order. In lockstep
and offline mode the world waits for its directors (see `ready`). In live mode a subscriber that falls too far behind
is unsubscribed.
"""

import logging
from collections import deque
from dataclasses import dataclass, field

import zmq

from longtake.protocol import sockets
from longtake.protocol.errors import Refused
from longtake.protocol.messages import Delivery, Encoding, Error, Frame, Message, Mode
from longtake.protocol.wire import encode
from longtake.runtime.clock import Clock
from longtake.runtime.server.jpeg_thread import JpegThread
from longtake.runtime.server.limits import Limits
from longtake.runtime.server.sessions import Client
from longtake.runtime.world.effects import Publish

log = logging.getLogger(__name__)

MAX_CREDIT = 4096
"""frames a subscriber may be ahead with its credit"""


@dataclass(kw_only=True, eq=False)
class Subscription:
    """One client's subscription to one world's frames."""

    client: Client
    identity: bytes
    """of its frame connection"""
    world: str
    delivery: Delivery
    encoding: Encoding
    credit: int
    blocks_world: bool
    """the world waits for this subscriber"""
    queue_frames: int
    """frames that may wait if the world does not"""
    waiting: deque[Publish] = field(default_factory=deque)


class Publisher:
    """All subscriptions of a server, by frame connection and world."""

    def __init__(self, socket: sockets.Socket, clock: Clock, limits: Limits, jpegs: JpegThread) -> None:
        self._socket = socket
        self._jpegs = jpegs
        self._clock = clock
        self._limits = limits
        self._all: dict[tuple[bytes, str], Subscription] = {}
        self._by_world: dict[str, list[Subscription]] = {}
        self._last: dict[str, Publish] = {}
        self._headers: dict[Encoding, tuple[Publish, bytes]] = {}
        """by encoding: the newest header, shared by all subscribers"""

    def subscribe(
        self,
        *,
        client: Client,
        identity: bytes,
        world: str,
        delivery: Delivery,
        encoding: Encoding,
        credit: int,
        mode: Mode,
        frame_bytes: int,
    ) -> None:
        """Add or replace a subscription. Raises `Refused("too_many")`."""
        self.unsubscribe(identity, world)
        if sum(sub.client is client for sub in self._all.values()) >= self._limits.subscriptions_per_client:
            raise Refused("too_many", f"a client has at most {self._limits.subscriptions_per_client} subscriptions")
        subscription = Subscription(
            client=client,
            identity=identity,
            world=world,
            delivery=delivery,
            encoding=encoding,
            credit=credit,
            blocks_world=delivery == "every" and mode != "live" and client.roles.get(world) == "director",
            queue_frames=max(16, self._limits.queued_bytes // frame_bytes),
        )
        self._all[identity, world] = subscription
        self._by_world.setdefault(world, []).append(subscription)

    def show_last(self, identity: bytes, world: str) -> None:
        """Send a new `latest` subscriber the current frame, so that it does not wait for the next one."""
        subscription = self._all.get((identity, world))
        if subscription is not None and subscription.delivery == "latest" and world in self._last:
            subscription.waiting.append(self._last[world])
            self._flush(subscription)

    def credit(self, identity: bytes, world: str, frames: int) -> None:
        """Add credit and send the frames that waited for it."""
        subscription = self._all.get((identity, world))
        if subscription is not None:
            subscription.credit = min(MAX_CREDIT, subscription.credit + frames)
            self._flush(subscription)

    def unsubscribe(self, identity: bytes, world: str) -> None:
        """End a subscription, if there is one."""
        subscription = self._all.pop((identity, world), None)
        if subscription is not None:
            self._by_world[world].remove(subscription)

    def forget_client(self, client: Client) -> None:
        """End all subscriptions of a client."""
        for subscription in [sub for sub in self._all.values() if sub.client is client]:
            self.unsubscribe(subscription.identity, subscription.world)

    def forget_membership(self, client: Client, world: str) -> None:
        """End a client's subscriptions of one world."""
        for subscription in [sub for sub in self._by_world.get(world, []) if sub.client is client]:
            self.unsubscribe(subscription.identity, world)

    def forget_world(self, world: str) -> None:
        """End all subscriptions of a world."""
        for subscription in list(self._by_world.pop(world, [])):
            del self._all[subscription.identity, world]
        self._last.pop(world, None)

    def drop_waiting(self, world: str) -> None:
        """Drop the waiting frames: a new take starts."""
        self._last.pop(world, None)
        for subscription in self._by_world.get(world, []):
            subscription.waiting.clear()

    def ready(self, world: str, mode: Mode) -> bool:
        """True when every subscriber that the world waits for has credit. An offline world needs at least one."""
        blocking = [sub for sub in self._by_world.get(world, []) if sub.blocks_world]
        if not blocking:
            return mode != "offline"
        for subscription in blocking:
            self._flush(subscription)
        return all(sub.credit > 0 and not sub.waiting for sub in blocking)

    def publish(self, world: str, shown: Publish) -> None:
        """Send a frame to every subscriber, or queue it until there is credit."""
        self._last[world] = shown
        for subscription in list(self._by_world.get(world, [])):
            if subscription.delivery == "latest":
                _keep_encoding(subscription)
            elif not subscription.blocks_world and len(subscription.waiting) >= subscription.queue_frames:
                self._too_slow(subscription)
                continue
            subscription.waiting.append(shown)
            self._flush(subscription)

    def encoded(self) -> None:
        """Send the frames whose JPEG is finished."""
        if self._jpegs.drain_finished():
            for subscription in [sub for sub in self._all.values() if sub.encoding == "jpeg"]:
                self._flush(subscription)

    def send(self, identity: bytes, message: Message) -> bool:
        """Send a message without a frame; return whether that was possible."""
        return self._send([identity, encode(message)])

    def _flush(self, subscription: Subscription) -> None:
        """Send waiting frames as far as credit, the encoder and the socket allow."""
        while subscription.waiting and subscription.credit > 0:
            shown = subscription.waiting[0]
            data = shown.frame.encoded(subscription.encoding)
            if data is None:
                self._jpegs.ask(shown.frame)
                return
            if not data:
                subscription.waiting.popleft()  # it cannot be encoded; the client sees the gap in the frame numbers
                continue
            header = self._header(subscription.world, shown, subscription.encoding)
            if not self._send([subscription.identity, header, data]):
                return
            subscription.waiting.popleft()
            subscription.credit -= 1

    def _header(self, world: str, shown: Publish, encoding: Encoding) -> bytes:
        cached = self._headers.get(encoding)
        if cached is not None and cached[0] is shown:
            return cached[1]
        frame = shown.frame
        header = encode(
            Frame(
                world=world,
                generation=shown.generation,
                number=shown.number,
                tick=frame.tick,
                block=frame.block,
                cue=frame.cue,
                height=frame.height,
                width=frame.width,
                encoding=encoding,
                held=shown.held,
                stale=shown.stale,
                published=self._clock.now(),
            )
        )
        self._headers[encoding] = (shown, header)
        return header

    def _send(self, parts: list[bytes | memoryview]) -> bool:
        try:
            self._socket.send_multipart(parts, zmq.NOBLOCK, copy=False)
        except zmq.ZMQError as error:
            # EAGAIN: its queue is full. EHOSTUNREACH: it is gone; the control connection notices that.
            if error.errno not in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                raise
            return False
        return True

    def _too_slow(self, subscription: Subscription) -> None:
        log.warning("%s takes its frames too slowly and is unsubscribed", subscription.client.name)
        self.unsubscribe(subscription.identity, subscription.world)
        text = (
            f"{len(subscription.waiting)} frames of {subscription.world} wait for credit, and a live world does not "
            "wait: subscribe again, with delivery latest if the client cannot keep up"
        )
        self.send(subscription.identity, Error(code="too_slow", message=text, retryable=True, world=subscription.world))


def _keep_encoding(subscription: Subscription) -> None:
    """Drop the waiting frames, except one that is being encoded for this subscription."""
    head = subscription.waiting[0] if subscription.waiting and subscription.credit > 0 else None
    subscription.waiting.clear()
    if head is not None and head.frame.is_encoding(subscription.encoding):
        subscription.waiting.append(head)
