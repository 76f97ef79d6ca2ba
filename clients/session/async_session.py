"""The session API for asyncio: the same connection and thread, awaited instead of blocking.

    async with await AsyncSession.connect("tcp://127.0.0.1:5570") as session:
        world = await session.open(seed=7, prompt="a red balloon over a meadow at dawn")
        await world.prompt("a red balloon over the sea at night")
        async for picture in world.frames():
            show(picture.pixels)

No call blocks the event loop. Use a session on the loop that made it.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future
from types import TracebackType
from typing import TypeVar, Unpack

from longtake.clients.session.connection import ConnectionState
from longtake.clients.session.feed import FRAMES_TIMEOUT_S
from longtake.clients.session.options import OpenOptions, WatchOptions
from longtake.clients.session.pending_requests import no_answer
from longtake.clients.session.picture import Picture
from longtake.clients.session.session import OPEN_TIMEOUT_S, Session
from longtake.clients.session.transport import Transport
from longtake.clients.session.world import Advance, World, pictures_of
from longtake.protocol.endpoints import DEFAULT_ENDPOINT
from longtake.protocol.errors import LongtakeError, SessionClosed, WorldClosed
from longtake.protocol.messages import (
    Ack,
    Action,
    Applied,
    Done,
    InputAck,
    Joined,
    ModelInfo,
    Role,
    Status,
    WorldEntry,
    WorldList,
    Worlds,
)

T = TypeVar("T")


async def _answer(future: "Future[T]", timeout_s: float, what: str) -> T:
    try:
        return await asyncio.wait_for(asyncio.wrap_future(future), timeout_s)
    except TimeoutError:
        if future.done() and not future.cancelled():
            raise
        raise no_answer(what, timeout_s) from None


class AsyncWorld:
    """A joined world. Attributes that are missing here are on `sync`, the blocking `World`."""

    def __init__(self, sync: World, request_timeout_s: float) -> None:
        self.sync = sync
        self._timeout_s = request_timeout_s
        self._loop = asyncio.get_running_loop()
        self._arrived = asyncio.Event()
        self._advancing = asyncio.Lock()
        self._unlisten = sync.listen(lambda: self._loop.call_soon_threadsafe(self._arrived.set))

    @property
    def name(self) -> str:
        """The world's name at the server."""
        return self.sync.name

    @property
    def info(self) -> Joined:
        """The answer to `open` or `join`."""
        return self.sync.info

    @property
    def status(self) -> Status | None:
        """The newest status."""
        return self.sync.status

    @property
    def timeline(self) -> list[Applied]:
        """Cues in force so far, in this generation."""
        return self.sync.timeline

    async def prompt(
        self, text: str, *, at_tick: int | None = None, cut_in: bool = False, amend: bool | None = None
    ) -> Ack:
        """Replace the prompt, or amend it; see `World.prompt`."""
        future = self.sync.prompt(text, at_tick=at_tick, cut_in=cut_in, amend=amend, wait=False)
        return await self._ask(future, "prompt")

    async def event(self, name: str, *, at_tick: int | None = None, cut_in: bool = False) -> Ack:
        """Fire an event of the world's script; the answer says from which block and tick."""
        return await self._ask(self.sync.event(name, at_tick=at_tick, cut_in=cut_in, wait=False), f"event {name}")

    async def input(
        self, held: Mapping[str, float] | None = None, /, *, at_tick: int | None = None, **axes: float
    ) -> InputAck:
        """Hold axes of the model at these values until they are changed; see `World.input`."""
        return await self._ask(self.sync.ask_input({**(held or {}), **axes}, at_tick=at_tick), "input")

    async def control(
        self, action: Action, *, ticks: int | None = None, seed: int | None = None, path: str | None = None
    ) -> Done:
        """Carry out an action: pause, resume, step, reset, close, record_start or record_stop."""
        done = await self._ask(self.sync.control(action, ticks=ticks, seed=seed, path=path), action)
        self.sync.acted(action, done)
        return done

    async def leave(self) -> Done:
        """Leave; the world goes on without this client."""
        done = await self._ask(self.sync.ask_leave(), "leave")
        self.sync.acted("leave", done)
        self.stop_listening()
        return done

    async def advance(self, ticks: int, timeout_s: float = FRAMES_TIMEOUT_S) -> list[Picture]:
        """Lockstep: make the world go on by `ticks` and return their pictures; see `World.advance`."""
        async with self._advancing:
            return await self._advance(ticks, timeout_s)

    async def _advance(self, ticks: int, timeout_s: float) -> list[Picture]:
        advance = Advance(self.sync, self.sync.control("advance", ticks=ticks))
        while not advance.complete():
            picture = await self._next(timeout_s, unless=advance.changed)
            if picture is not None:
                advance.pictures.append(picture)
        done = await _answer(advance.answer, timeout_s, "advance")
        return pictures_of(done, ticks, advance.pictures)

    async def frames(self, timeout_s: float = FRAMES_TIMEOUT_S) -> AsyncIterator[Picture]:
        """Yield pictures as they come, until the world or the session is closed; see `World.frames`."""
        while True:
            try:
                picture = await self.next_picture(timeout_s)
            except (WorldClosed, SessionClosed):
                return
            yield picture

    async def next_picture(self, timeout_s: float = FRAMES_TIMEOUT_S) -> Picture:
        """Wait for the next picture."""
        picture = await self._next(timeout_s)
        assert picture is not None
        return picture

    def latest(self) -> Picture | None:
        """Return the newest picture or None, without waiting."""
        return self.sync.latest()

    async def wait(self, condition: Callable[[World], bool], what: str, timeout_s: float = FRAMES_TIMEOUT_S) -> None:
        """Wait until `condition(world)` holds. It is checked on every arrival; `what` names it in the error."""
        await self._wait(lambda: condition(self.sync), what, timeout_s, lambda: self.sync.ended)

    def stop_listening(self) -> None:
        """Ignore what arrives from now on. `leave` and the session's `close` call this."""
        self._unlisten()

    async def _ask(self, future: "Future[T]", what: str) -> T:
        return await _answer(future, self._timeout_s, what)

    async def _next(self, timeout_s: float, unless: Callable[[], bool] = lambda: False) -> Picture | None:
        self.sync.need_pictures()
        picture: Picture | None = None

        def is_over() -> bool:
            nonlocal picture
            picture = self.sync.take_picture()
            return picture is not None or unless()

        await self._wait(is_over, f"a picture of {self.name}", timeout_s, lambda: self.sync.no_more_pictures)
        return picture

    async def _wait(
        self,
        condition: Callable[[], bool],
        what: str,
        timeout_s: float,
        hopeless: Callable[[], LongtakeError | None],
    ) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    self._arrived.clear()  # before looking, so that nothing is missed in between
                    if condition():
                        return
                    if (reason := hopeless()) is not None:
                        raise reason
                    await self._arrived.wait()
        except TimeoutError:
            raise self.sync.too_late(what, timeout_s) from None


class AsyncSession:
    """A connection to one server. Make it with `await AsyncSession.connect(...)`; close it."""

    def __init__(self, sync: Session) -> None:
        self.sync = sync
        """the blocking session that does the work"""
        self._worlds: list[AsyncWorld] = []

    @classmethod
    async def connect(
        cls,
        server: str | Transport = DEFAULT_ENDPOINT,
        *,
        timeout_s: float = 5.0,
        request_timeout_s: float = 10.0,
        reconnect_s: float = 60.0,
        client: str = "longtake-python",
    ) -> "AsyncSession":
        """Connect to a server; see `Session.connect`."""
        session = await asyncio.to_thread(
            Session.connect,
            server,
            timeout_s=timeout_s,
            request_timeout_s=request_timeout_s,
            reconnect_s=reconnect_s,
            client=client,
        )
        return cls(session)

    async def __aenter__(self) -> "AsyncSession":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def models(self) -> list[ModelInfo]:
        """The models the server offers."""
        return self.sync.models

    @property
    def state(self) -> ConnectionState:
        """The state of the connection."""
        return self.sync.state

    async def worlds(self) -> list[WorldEntry]:
        """The worlds running at the server."""
        return (await _answer(self.sync.ask(Worlds, WorldList), self.sync.request_timeout_s, "worlds")).worlds

    async def open(
        self, model: str = "diorama", *, timeout_s: float = OPEN_TIMEOUT_S, **options: Unpack[OpenOptions]
    ) -> AsyncWorld:
        """Open a world and direct it; see `Session.open`."""
        opening = self.sync.begin_open(model, **options)
        return await self._enter(opening.entered, timeout_s, "open", opened=True, resume=opening.resume)

    async def join(self, world: str = "", *, role: Role = "viewer", **watch: Unpack[WatchOptions]) -> AsyncWorld:
        """Join a running world; see `Session.join`."""
        entered = self.sync.begin_join(world, role=role, **watch)
        return await self._enter(entered, self.sync.request_timeout_s, "join", opened=False)

    async def close(self) -> None:
        """Say goodbye and free everything. Harmless when repeated."""
        for world in self._worlds:
            world.stop_listening()
        await asyncio.to_thread(self.sync.close)
        for world in self._worlds:
            world._arrived.set()

    async def _enter(
        self, entered: "Future[World]", timeout_s: float, what: str, *, opened: bool, resume: bool = False
    ) -> AsyncWorld:
        sync = await _answer(entered, timeout_s, what)
        with self.sync.undone_on_failure(sync, opened=opened):
            if sync.subscribed is not None:
                try:
                    await _answer(sync.subscribed, self.sync.request_timeout_s, "subscribe")
                except TimeoutError:
                    raise self.sync.no_frames() from None
            world = AsyncWorld(sync, self.sync.request_timeout_s)
            self._worlds.append(world)
            if resume:
                await world.control("resume")
        return world
