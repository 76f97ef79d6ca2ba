"""The Python session API: connect to a Longtake server, open or join worlds, steer and watch them.

    with Session.connect("tcp://127.0.0.1:5570") as session:
        world = session.open(model="diorama", seed=7, prompt="a red balloon over a meadow at dawn")
        world.prompt("a red balloon over the sea at night")
        for picture in world.frames():
            show(picture.pixels)  # [H, W, 3] uint8 RGB

Blocking calls have a timeout and raise one of `longtake.protocol.errors` with one line that says what to do.
A session is thread-safe, notices a dead server by its heartbeat, connects again by itself and joins its
worlds again. For asyncio see `clients/session/async_session.py`.
"""

import functools
import logging
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar, Unpack

from longtake.clients.session.connection import Connection, ConnectionConfig, ConnectionState
from longtake.clients.session.frame_buffer import EVERY_CAPACITY, FrameBuffer
from longtake.clients.session.options import Opening, OpenOptions, WatchOptions, check_names
from longtake.clients.session.pending_requests import PendingRequests, no_answer, settle, wait_answer, wait_or_give_up
from longtake.clients.session.transport import Transport
from longtake.clients.session.world import World
from longtake.clients.session.zmq_transport import transport_to
from longtake.protocol import wire
from longtake.protocol.endpoints import DEFAULT_ENDPOINT
from longtake.protocol.errors import ConnectionLost, LongtakeError, Refused, RequestTimeout, WorldClosed
from longtake.protocol.messages import (
    Control,
    Done,
    Error,
    Frame,
    Hello,
    Join,
    Joined,
    Leave,
    Message,
    ModelInfo,
    Notice,
    Open,
    Role,
    Script,
    Subscribe,
    Subscribed,
    Welcome,
    WorldEntry,
    WorldList,
    Worlds,
)

logger = logging.getLogger(__name__)

OPEN_TIMEOUT_S = 120.0
"""for `open`: the generator may have to load its model first"""

T = TypeVar("T")


class Session:
    """A connection to one server and the worlds joined over it. Make it with `Session.connect`; close it."""

    def __init__(self, config: ConnectionConfig, transport: Transport, *, request_timeout_s: float) -> None:
        self.config = config
        self.endpoint = transport.endpoint
        """where the server is"""
        self.request_timeout_s = request_timeout_s
        """how long a blocking call waits for its answer"""
        self.reconnects = 0
        """how often the connection was lost and restored"""
        self._requests = PendingRequests()
        self._worlds: dict[str, World] = {}
        self._lock = threading.Lock()
        self._welcome: Welcome | None = None
        self._welcomed = threading.Event()
        self._connection = Connection(config, self, transport)

    @classmethod
    def connect(
        cls,
        server: str | Transport = DEFAULT_ENDPOINT,
        *,
        timeout_s: float = 5.0,
        request_timeout_s: float = 10.0,
        reconnect_s: float = 60.0,
        client: str = "longtake-python",
    ) -> "Session":
        """Connect to a server and return the session.

        `server` is an endpoint, such as `tcp://127.0.0.1:5570`, or a transport that reaches the server in another
        way. `reconnect_s` is how long to look for a lost server (0: not at all); `client` is the name in the
        server's log. Raises `ConnectionFailed`, `VersionMismatch`, `EndpointError` or `Refused`.
        """
        config = ConnectionConfig(client=client, connect_s=timeout_s, reconnect_s=reconnect_s)
        session = cls(config, transport_to(server), request_timeout_s=request_timeout_s)
        session._connection.start()
        try:
            session._connection.wait_connected()
        except BaseException:
            session.close()
            raise
        return session

    def __enter__(self) -> "Session":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def welcome(self) -> Welcome:
        """The server's latest welcome: its version, limits and models."""
        assert self._welcome is not None
        return self._welcome

    @property
    def models(self) -> list[ModelInfo]:
        """The models that the server offers; none until its first generator has loaded, see `refresh`."""
        return self.welcome.models

    @property
    def state(self) -> ConnectionState:
        """The state of the connection."""
        return self._connection.state

    @property
    def rtt_ms(self) -> float:
        """Round trip of the latest heartbeat."""
        return self._connection.rtt_ms

    def refresh(self) -> Welcome:
        """Ask for a new welcome, for instance while `models` is empty because the generator still loads."""
        self._welcomed.clear()
        self.tell(Hello(client=self.config.client))
        if not self._welcomed.wait(self.request_timeout_s):
            raise no_answer("hello", self.request_timeout_s)
        return self.welcome

    def worlds(self) -> list[WorldEntry]:
        """The worlds running at the server."""
        return wait_answer(self.ask(Worlds, WorldList), self.request_timeout_s, "worlds").worlds

    def open(
        self, model: str = "diorama", *, timeout_s: float = OPEN_TIMEOUT_S, **options: Unpack[OpenOptions]
    ) -> World:
        """Open a world and direct it. `OpenOptions` and `WatchOptions` list the keywords.

        A live world with `delivery="every"` is opened paused and resumed once its frames are subscribed to, so
        that none is missed.
        """
        opening = self.begin_open(model, **options)
        world = wait_or_give_up(opening.entered, timeout_s, "open", functools.partial(self._give_up, opened=True))
        with self.undone_on_failure(world, opened=True):
            self._subscribed(world)
            if opening.resume:
                world.resume()
        return world

    def join(self, world: str = "", *, role: Role = "viewer", **watch: Unpack[WatchOptions]) -> World:
        """Join a running world by its name; an empty name means the only one, or the newest."""
        entered = self.begin_join(world, role=role, **watch)
        give_up = functools.partial(self._give_up, opened=False)
        joined = wait_or_give_up(entered, self.request_timeout_s, "join", give_up)
        with self.undone_on_failure(joined, opened=False):
            return self._subscribed(joined)

    @contextmanager
    def undone_on_failure(self, world: World, *, opened: bool) -> Iterator[None]:
        """Close (or leave) a world that was entered if the block raises: the caller never gets to see it."""
        try:
            yield
        except BaseException:
            self._give_up(world, opened=opened)
            raise

    def close(self) -> None:
        """Say goodbye and free everything. The server keeps the worlds for a while. Harmless when repeated."""
        self._connection.close()

    # --- without waiting -----------------------------------------------------------------------------------

    def begin_open(self, model: str = "diorama", **options: Unpack[OpenOptions]) -> Opening:
        """Send `open` and return the world's future. Its `subscribed` is another future; `open` waits for both."""
        check_names("open", options, OpenOptions.__optional_keys__)
        paused, mode = options.get("paused", False), options.get("mode", "live")
        hold = options.get("delivery") == "every" and mode == "live" and not paused
        entered = self._enter(
            Open,
            options,
            model=model,
            prompt=options.get("prompt"),
            seed=options.get("seed", 0),
            mode=mode,
            script=options.get("script") or Script(),
            readings=options.get("readings", False),
            paused=paused or hold,
        )
        return Opening(entered=entered, resume=hold)

    def begin_join(self, world: str = "", *, role: Role = "viewer", **watch: Unpack[WatchOptions]) -> "Future[World]":
        """Send `join` and return the world's future. Its `subscribed` is another future; `join` waits for both."""
        check_names("join", watch, WatchOptions.__optional_keys__)
        return self._enter(Join, watch, world=world, role=role)

    # --- what a world needs (`feed.RequestChannel`) ------------------------------------------------------------------

    def ask(
        self,
        kind: type[Message],
        answer: type[T],
        then: "Callable[[Future[T]], object] | None" = None,
        **fields: Any,
    ) -> "Future[T]":
        """Send the request `kind(**fields)` and return the future of its answer.

        `then` is called with that future on the connection's thread, before any later message is handed out: it is
        attached before the request leaves, since the answer may be there before this returns.
        """
        number, future = self._requests.begin(answer)
        if then is not None:
            future.add_done_callback(then)
        try:
            data = wire.encode_checked(kind(request=number, **fields))
            (self._connection.send_frames if answer is Subscribed else self._connection.send)(data)
        except BaseException:
            self._requests.forget(number)
            raise
        return future

    def tell(self, message: Message) -> None:
        """Send a message without an answer on the control channel."""
        self._connection.send(wire.encode_checked(message))

    def tell_frames(self, message: Message) -> None:
        """Send a message without an answer on the frame channel."""
        self._connection.send_frames(wire.encode_checked(message))

    def session_id(self) -> str:
        """Return the session id from the server's welcome."""
        return self.welcome.session

    def forget(self, world: str) -> None:
        """A world has ended: pass nothing more to it."""
        with self._lock:
            self._worlds.pop(world, None)

    # --- what the connection hands over (`connection.Receiver`) --------------------------------------------

    def on_welcome(self, welcome: Welcome, *, again: bool) -> None:
        """Connected. After a loss, join every world again."""
        self._welcome = welcome
        if not again:
            return
        self.reconnects += 1
        for world in self._all():
            if world.ended is None:
                self._rejoin(world)

    def on_message(self, message: Message) -> None:
        """Complete the request that it answers, or pass it to its world."""
        if isinstance(message, Welcome):
            self._welcome = message
            self._welcomed.set()
            return
        if self._requests.settle(message):
            self._notify()
            return
        if isinstance(message, Notice) and message.kind == "models":
            self.tell(Hello(client=self.config.client))  # the welcome that answers it lists them
            return
        world = self._worlds.get(getattr(message, "world", None) or "")
        if isinstance(message, Error) and message.code == "not_subscribed":
            if world is not None:  # otherwise it was left or closed while credit was on its way
                logger.info("subscribing again: %s", message.message)
                world.subscribe_again()
        elif isinstance(message, Error):
            logger.warning("the server reports %s: %s", message.code, message.message)
            if world is not None and message.code == "too_slow":
                world.on_unsubscribed(Refused(message.code, message.message, retryable=message.retryable))
        elif world is not None:
            world.on_message(message)

    def on_frame(self, header: Frame, payload: memoryview) -> None:
        """Pass a frame to its world."""
        if (world := self._worlds.get(header.world)) is not None:
            world.on_frame(header, payload)

    def on_lost(self, error: LongtakeError) -> None:
        """Fail all pending requests. The next connection joins the worlds again."""
        self._requests.fail_all(error)
        self._notify()

    def on_closed(self, error: LongtakeError) -> None:
        """The session has ended."""
        self._requests.fail_all(error)
        for world in self._all():
            world.end(error)

    # --- inside --------------------------------------------------------------------------------------------

    def _enter(self, kind: type[Message], watch: WatchOptions, **fields: Any) -> "Future[World]":
        """Send `open` or `join`. The world is made on the connection's thread, so that no message is missed."""
        delivery = watch.get("delivery", "latest")
        encoding = watch.get("encoding", "raw")
        if delivery:
            # Checked now: a subscription that cannot be sent would leave an open world behind.
            wire.encode_checked(Subscribe(request=0, session="", world="w", delivery=delivery, encoding=encoding))
        buffer = FrameBuffer(delivery, watch.get("buffer_frames", EVERY_CAPACITY)) if delivery else None
        opened = kind is Open
        entered: Future[World] = Future()

        def answered(future: "Future[Joined]") -> None:
            if not entered.set_running_or_notify_cancel():  # whoever asked has given up
                if future.exception() is None:
                    self._undo(future.result().world, opened=opened)
            elif (error := future.exception()) is not None:
                settle(entered, error=error)
            else:
                world = World(self, future.result(), encoding=encoding, buffer=buffer)
                try:
                    self._add(world)
                    world.subscribe()
                except LongtakeError as failure:
                    self._give_up(world, opened=opened)
                    settle(entered, error=failure)
                else:
                    settle(entered, result=world)

        self.ask(kind, Joined, answered, **fields)
        return entered

    def _give_up(self, world: World, *, opened: bool) -> None:
        """Take back what made a world: the caller never gets to see it."""
        if self._worlds.get(world.name) is world:
            self.forget(world.name)
            self._undo(world.name, opened=opened)

    def _undo(self, world: str, *, opened: bool) -> None:
        """Close a world that was opened in vain, or leave one that was joined. Does not wait."""
        try:
            if opened:
                self.ask(Control, Done, world=world, action="close")
            else:
                self.ask(Leave, Done, world=world)
        except LongtakeError as error:
            logger.debug("%s could not be given up: %s", world, error)

    def _add(self, world: World) -> None:
        with self._lock:
            if world.name in self._worlds:
                raise Refused("wrong_mode", f"this session has joined {world.name} already; leave it there first")
            self._worlds[world.name] = world

    def _subscribed(self, world: World) -> World:
        """Wait until the frames of a new world are subscribed to."""
        if world.subscribed is not None:
            try:
                wait_answer(world.subscribed, self.request_timeout_s, "subscribe")
            except RequestTimeout:
                raise self.no_frames() from None
        return world

    def no_frames(self) -> ConnectionLost:
        """Return the error for a frame channel that does not answer while the control channel does."""
        return ConnectionLost(
            f"the server answers but its frame socket {self.welcome.frames_endpoint} does not; through an SSH "
            "tunnel forward that port too"
        )

    def _rejoin(self, world: World) -> None:
        """Join and subscribe again. It runs on the connection's thread, so it must not wait."""

        def joined(future: "Future[Joined]") -> None:
            error = future.exception()
            if isinstance(error, Refused):
                world.end(WorldClosed(f"{world.name} could not be joined again: {error}"))
            elif error is None:
                world.on_rejoined(future.result())
                if world.subscribed is not None:
                    world.subscribed.add_done_callback(resubscribed)

        def resubscribed(future: "Future[Subscribed]") -> None:
            error = future.exception()
            if isinstance(error, Refused):
                world.end(WorldClosed(f"the frames of {world.name} could not be had again: {error}"))

        world.rejoin().add_done_callback(joined)

    def _all(self) -> list[World]:
        with self._lock:
            return list(self._worlds.values())

    def _notify(self) -> None:
        for world in self._all():
            world.notify()
