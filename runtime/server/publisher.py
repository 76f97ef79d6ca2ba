"""The frame socket: subscriptions, their credit, and sending frames against it.

`latest`: the newest frame waits for credit, and older ones are dropped. A frame that is being encoded is still sent;
otherwise an encoder slower than the frame rate would never finish one. `every`: all frames wait, in order. In lockstep
and offline mode the world waits for its directors (see `ready`). In live mode a subscriber that falls too far behind
is unsubscribed.

A subscription belongs to a session and a world. If its frame connection is lost, it is kept for a while, and a new
connection of the same session takes it over with the frames that wait. Since a lost connection shows only when
something is sent on it, one that has been quiet for a while is sent a heartbeat. The client is told of the loss once a
second, because the connection may be lost again while it subscribes.
"""

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

import zmq

from longtake.protocol import sockets
from longtake.protocol.errors import Refused
from longtake.protocol.messages import Delivery, Encoding, Error, Frame, Heartbeat, Message, Mode
from longtake.protocol.wire import encode
from longtake.runtime.clock import Clock
from longtake.runtime.server.jpeg_thread import JpegThread
from longtake.runtime.server.limits import Limits
from longtake.runtime.server.sessions import Client
from longtake.runtime.world.effects import Publish

log = logging.getLogger(__name__)

LOST_S = 10.0
"""how long a subscription without a frame connection is kept, and a world waits for it"""
QUIET_S = 1.0
"""how long nothing is sent on a frame connection before it is tried with a heartbeat"""


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
    lossless: bool
    """no frame may be left out, and the world can wait: `every` in a world that is not live"""
    queue_frames: int
    """frames that may wait if the world does not"""
    waiting: deque[Publish] = field(default_factory=deque)
    lost_at: float | None = None
    """when its frame connection turned out to be gone"""
    tried_at: float = 0.0
    """when something was last sent on its frame connection"""

    @property
    def blocks_world(self) -> bool:
        """Whether the world waits for this subscriber: as long as it directs the world, since roles change."""
        return self.lossless and self.client.roles.get(self.world) == "director"

    @property
    def blocked(self) -> bool:
        """Whether it cannot take another frame now."""
        return self.credit <= 0 or bool(self.waiting)


class Publisher:
    """All subscriptions of a server, by client and world."""

    def __init__(
        self,
        socket: sockets.Socket,
        clock: Clock,
        limits: Limits,
        jpegs: JpegThread,
        tell: Callable[[Client, Message], None],
    ) -> None:
        """`tell` sends a client a message on its control connection."""
        self._socket = socket
        self._tell = tell
        self._jpegs = jpegs
        self._clock = clock
        self._limits = limits
        self._all: dict[tuple[Client, str], Subscription] = {}
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
        """Add or replace a subscription. Raises `Refused("too_many")`.

        The frames that wait for the old one go to the new one, if both are `every`.
        """
        mine = sum(sub.client is client and sub.world != world for sub in self._all.values())
        if mine >= self._limits.subscriptions_per_client:
            raise Refused("too_many", f"a client has at most {self._limits.subscriptions_per_client} subscriptions")
        old = self._all.get((client, world))
        for replaced in {old, self._of_connection(identity, world)}:  # the second may be another session's
            self._end(replaced)
        self._add(
            Subscription(
                client=client,
                identity=identity,
                world=world,
                delivery=delivery,
                encoding=encoding,
                credit=credit,
                lossless=delivery == "every" and mode != "live",
                queue_frames=max(16, self._limits.queued_bytes // frame_bytes),
                waiting=old.waiting if old is not None and old.delivery == delivery == "every" else deque(),
            )
        )

    def begin(self, client: Client, world: str) -> None:
        """Send a new subscriber what waits: with `latest` the current frame, so that it does not wait for the next."""
        subscription = self._all[client, world]
        if subscription.delivery == "latest" and world in self._last:
            subscription.waiting.append(self._last[world])
        self._flush(subscription)

    def credit(self, identity: bytes, world: str, frames: int) -> None:
        """Add credit and send the frames that waited for it. Raises `Refused("not_subscribed")`."""
        subscription = self._of_connection(identity, world)
        if subscription is None:
            raise Refused("not_subscribed", f"this connection has no subscription of {world}: subscribe (again)")
        subscription.credit = min(self._limits.credit, subscription.credit + frames)
        self._flush(subscription)

    def unsubscribe(self, identity: bytes, world: str) -> None:
        """End a connection's subscription, if there is one."""
        self._end(self._of_connection(identity, world))

    def blocking(self, world: str) -> list[Client]:
        """Return the clients that must take frames before the world goes on."""
        return [sub.client for sub in self._by_world.get(world, []) if sub.blocks_world and sub.blocked]

    def is_read(self, world: str) -> bool:
        """Whether a subscriber that the world waits for takes its frames; an offline world needs one."""
        return any(sub.blocks_world for sub in self._by_world.get(world, []))

    def watch(self) -> None:
        """Try the connections that have been quiet, and end the subscriptions whose connection stays away."""
        now = self._clock.now()
        for sub in self._all.values():
            if now - sub.tried_at <= QUIET_S:
                continue
            sub.tried_at = now
            if sub.lost_at is not None:
                self._tell_lost(sub)
            elif self._send([sub.identity, encode(Heartbeat(sent=now, reply=True))]) == zmq.EHOSTUNREACH:
                self._lost(sub)
        self._expire(now)

    def _expire(self, now: float) -> None:
        for sub in [sub for sub in self._all.values() if sub.lost_at is not None and now - sub.lost_at > LOST_S]:
            log.info("%s does not come back for the frames of %s", sub.client.name or "a client", sub.world)
            self._end(sub)

    def forget_client(self, client: Client) -> None:
        """End all subscriptions of a client."""
        for subscription in [sub for sub in self._all.values() if sub.client is client]:
            self._end(subscription)

    def forget_membership(self, client: Client, world: str) -> None:
        """End a client's subscription of one world."""
        self._end(self._all.get((client, world)))

    def forget_world(self, world: str) -> None:
        """End all subscriptions of a world."""
        for subscription in list(self._by_world.pop(world, [])):
            del self._all[subscription.client, world]
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
        return not any(sub.blocked for sub in blocking)

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
        return not self._send([identity, encode(message)])

    def _add(self, subscription: Subscription) -> None:
        self._all[subscription.client, subscription.world] = subscription
        self._by_world.setdefault(subscription.world, []).append(subscription)

    def _end(self, subscription: Subscription | None) -> None:
        if subscription is not None:
            del self._all[subscription.client, subscription.world]
            self._by_world[subscription.world].remove(subscription)

    def _of_connection(self, identity: bytes, world: str) -> Subscription | None:
        return next((sub for sub in self._by_world.get(world, []) if sub.identity == identity), None)

    def _flush(self, subscription: Subscription) -> None:
        """Send waiting frames as far as credit, the encoder and the socket allow."""
        while subscription.waiting and subscription.credit > 0 and subscription.lost_at is None:
            shown = subscription.waiting[0]
            data = shown.frame.encoded(subscription.encoding)
            if data is None:
                self._jpegs.ask(shown.frame)
                return
            if not data:
                subscription.waiting.popleft()  # it cannot be encoded; the client sees the gap in the frame numbers
                continue
            header = self._header(subscription.world, shown, subscription.encoding)
            failure = self._send([subscription.identity, header, data])
            if failure == zmq.EHOSTUNREACH:
                self._lost(subscription)
            if failure:
                return
            subscription.waiting.popleft()
            subscription.credit -= 1
            subscription.tried_at = self._clock.now()

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

    def _send(self, parts: list[bytes | memoryview]) -> int:
        """Send on the frame socket; return 0, or the error's number."""
        try:
            self._socket.send_multipart(parts, zmq.NOBLOCK, copy=False)
        except zmq.ZMQError as error:
            # EAGAIN: its queue is full. EHOSTUNREACH: it is gone. Both concern this connection only.
            if error.errno not in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                raise
            return int(error.errno)
        return 0

    def _lost(self, subscription: Subscription) -> None:
        subscription.lost_at = subscription.tried_at = self._clock.now()
        log.info("%s lost its frame connection for %s", subscription.client.name or "a client", subscription.world)
        self._tell_lost(subscription)

    def _tell_lost(self, subscription: Subscription) -> None:
        """Tell the client that its frame connection is gone where it can still hear it, on the control connection."""
        world = subscription.world
        text = f"the connection for the frames of {world} is gone: subscribe again within {LOST_S:g} s to miss none"
        self._tell(subscription.client, Error(code="not_subscribed", message=text, retryable=True, world=world))

    def _too_slow(self, subscription: Subscription) -> None:
        log.warning("%s takes its frames too slowly and is unsubscribed", subscription.client.name)
        self._end(subscription)
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
