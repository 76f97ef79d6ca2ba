"""A world as a client sees it: steer it, watch it, and read its newest state.

Thread-safe. Its state is written by the connection's thread and read by anybody.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Literal, TypeVar, overload

from longtake.clients.session.feed import FRAMES_TIMEOUT_S, Feed, RequestChannel
from longtake.clients.session.frame_buffer import FrameBuffer
from longtake.clients.session.pending_requests import wait_answer
from longtake.clients.session.picture import Picture
from longtake.protocol.axes import checked
from longtake.protocol.errors import LongtakeError, WorldClosed
from longtake.protocol.messages import (
    Ack,
    Action,
    Applied,
    Control,
    Displayed,
    Done,
    Encoding,
    Event,
    Input,
    InputAck,
    Join,
    Joined,
    Leave,
    Message,
    Notice,
    Prompt,
    Reading,
    Status,
)

logger = logging.getLogger(__name__)

CLOSE_WITHIN_S = 2.0
"""how long `closing` waits for the end of a world after a failure"""
KEPT = 4096
"""limit of notices, readings and timeline marks"""

T = TypeVar("T")


class World(Feed):
    """A joined world. Made by `Session.open` and `Session.join`."""

    def __init__(
        self, channel: RequestChannel, joined: Joined, *, encoding: Encoding, buffer: FrameBuffer | None
    ) -> None:
        super().__init__(channel, joined.world, generation=joined.generation, encoding=encoding, buffer=buffer)
        self.info = joined
        """the answer to `open` or `join`: model, script, role, mode, seed, prompt"""
        self.status: Status | None = None
        """the newest status; the server sends one twice a second"""
        self.timeline: list[Applied] = list(joined.timeline)
        """the cues of this generation that have taken effect"""
        self.advancing = threading.Lock()
        """held during an `advance`, since the pictures that arrive belong to it"""
        self.notices: deque[Notice] = deque(maxlen=KEPT)
        self.readings: deque[Reading] = deque(maxlen=KEPT)

    @overload
    def prompt(
        self,
        text: str,
        *,
        at_tick: int | None = ...,
        cut_in: bool = ...,
        amend: bool | None = ...,
        wait: Literal[True] = ...,
    ) -> Ack: ...
    @overload
    def prompt(
        self,
        text: str,
        *,
        at_tick: int | None = ...,
        cut_in: bool = ...,
        amend: bool | None = ...,
        wait: Literal[False],
    ) -> "Future[Ack]": ...
    def prompt(
        self,
        text: str,
        *,
        at_tick: int | None = None,
        cut_in: bool = False,
        amend: bool | None = None,
        wait: bool = True,
    ) -> "Ack | Future[Ack]":
        """Replace the prompt, or amend it; the answer says with which text, and from which block and tick.

        `amend=True` keeps what was said before and adds `text`, False replaces it, None goes by the wording ("the
        same fox at dawn" amends). `wait=False` returns the answer's future.
        """
        future = self._channel.ask(Prompt, Ack, world=self.name, text=text, at_tick=at_tick, cut_in=cut_in, amend=amend)
        return self._answer(future, "prompt") if wait else future

    @overload
    def event(self, name: str, *, at_tick: int | None = ..., cut_in: bool = ..., wait: Literal[True] = ...) -> Ack: ...
    @overload
    def event(
        self, name: str, *, at_tick: int | None = ..., cut_in: bool = ..., wait: Literal[False]
    ) -> "Future[Ack]": ...
    def event(
        self, name: str, *, at_tick: int | None = None, cut_in: bool = False, wait: bool = True
    ) -> "Ack | Future[Ack]":
        """Fire an event of the world's script; the answer says from which block and tick."""
        future = self._channel.ask(Event, Ack, world=self.name, name=name, at_tick=at_tick, cut_in=cut_in)
        return self._answer(future, f"event {name}") if wait else future

    def input(
        self, held: Mapping[str, float] | None = None, /, *, at_tick: int | None = None, **axes: float
    ) -> InputAck:
        """Hold axes of the model at these values until they are changed: `world.input(speed=1.0)`.

        A mapping does the same, for axes whose names Python cannot spell. The answer says which block samples them
        first. Raises `Refused` if the model has no such axis or it cannot have the value; nothing is sent then.
        """
        return self._answer(self.ask_input({**(held or {}), **axes}, at_tick=at_tick), "input")

    def ask_input(self, held: Mapping[str, float], *, at_tick: int | None = None) -> "Future[InputAck]":
        """As `input`, and return the future of the answer."""
        axes = checked(self.info.model, held)
        return self._channel.ask(Input, InputAck, world=self.name, axes=axes, at_tick=at_tick)

    def control(
        self, action: Action, *, ticks: int | None = None, seed: int | None = None, path: str | None = None
    ) -> "Future[Done]":
        """Ask for an action and return the future of its answer; the methods below wait for it."""
        return self._channel.ask(Control, Done, world=self.name, action=action, ticks=ticks, seed=seed, path=path)

    def pause(self) -> Done:
        """Stop the world at its tick."""
        return self._answer(self.control("pause"), "pause")

    def resume(self) -> Done:
        """Let a paused world run."""
        return self._answer(self.control("resume"), "resume")

    def step(self, ticks: int | None = None, timeout_s: float | None = None) -> Done:
        """Show `ticks` more frames (default: one block), then pause. Returns when they were shown.

        With `every` and more ticks than the buffer holds, another thread has to take the pictures meanwhile.
        """
        future = self.control("step", ticks=ticks)
        shown_s = (ticks or 0) / self.info.model.fps
        return wait_answer(
            future, self._channel.request_timeout_s + shown_s if timeout_s is None else timeout_s, "step"
        )

    def reset(self, seed: int | None = None) -> Done:
        """Start a new take under the newest prompt, with the same seed or another one."""
        return self.acted("reset", self._answer(self.control("reset", seed=seed), "reset"))

    def record_start(self, path: str) -> Done:
        """Record a take file of that name in the server's take folder."""
        return self._answer(self.control("record_start", path=path), "record_start")

    def record_stop(self) -> Done:
        """Finish the take file."""
        return self._answer(self.control("record_stop"), "record_stop")

    def leave(self) -> Done:
        """Leave; the world goes on without this client."""
        return self.acted("leave", self._answer(self.ask_leave(), "leave"))

    def close(self) -> Done:
        """End the world for everybody."""
        return self.acted("close", self._answer(self.control("close"), "close"))

    @contextmanager
    def closing(self) -> "Iterator[World]":
        """Close the world at the end of a `with` block, also if the block raises.

        Otherwise an empty world runs on for as long as the server keeps it.
        """
        try:
            yield self
        except BaseException:
            try:
                wait_answer(self.control("close"), CLOSE_WITHIN_S, "close")
            except LongtakeError as error:
                logger.debug("%s could not be closed: %s", self.name, error)
            raise
        self.close()

    def advance(self, ticks: int, timeout_s: float = FRAMES_TIMEOUT_S) -> list[Picture]:
        """Lockstep: make the world go on by `ticks` and return their pictures.

        With `every` that is one for each tick; with `latest` those that came, the last one included; without a
        subscription none. Pictures of earlier ticks that nobody took are dropped. `timeout_s` is for each
        picture and for the answer, not for the whole. If the frame connection was lost meanwhile, those that were on
        their way are missing, but the last one is there.

        Threads that advance one world take turns, so that each gets the pictures of its own ticks. A `reset` of the
        world meanwhile raises `Refused` (`wrong_mode`); if it is left or closed, `WorldClosed` is raised.
        """
        with self.advancing:
            return self._advance(ticks, timeout_s)

    def _advance(self, ticks: int, timeout_s: float) -> list[Picture]:
        advance = Advance(self, self.control("advance", ticks=ticks))
        while not advance.complete():
            picture = self._next(timeout_s, unless=advance.changed)
            if picture is not None:
                advance.pictures.append(picture)
        done = wait_answer(advance.answer, timeout_s, "advance")
        return pictures_of(done, ticks, advance.pictures)

    def displayed(self, cue: int | None, event_to_photon_ms: float) -> None:
        """Report how long after the key press the first frame under `cue`, or under an input, reached the screen."""
        self._channel.tell(Displayed(world=self.name, cue=cue, event_to_photon_ms=event_to_photon_ms))

    def wait(self, condition: Callable[["World"], bool], what: str, timeout_s: float = FRAMES_TIMEOUT_S) -> None:
        """Wait until `condition(world)` holds. It is checked on every arrival; `what` names it in the error."""
        self._wait(lambda: condition(self), what, timeout_s, lambda: self.ended)

    def ask_leave(self) -> "Future[Done]":
        """Ask to leave and return the future of the answer. Pass the answer to `acted`."""
        return self._channel.ask(Leave, Done, world=self.name)

    def acted(self, action: Action | Literal["leave"], done: Done) -> Done:
        """Apply an answered action to this side, after `control` was used. Returns `done`."""
        if action == "reset":
            with self._changed:
                self._enter(done.generation)
        elif action == "close":
            self.end(WorldClosed(f"{self.name} was closed"))
        elif action == "leave":
            self.end(WorldClosed(f"this client left {self.name}; join it again"))
        return done

    # --- called by the session, on the connection's thread -------------------------------------------------

    def rejoin(self) -> "Future[Joined]":
        """Ask to join again after the connection was lost."""
        return self._channel.ask(Join, Joined, world=self.name, role=self.info.role)

    def on_rejoined(self, joined: Joined) -> None:
        """The world was joined again."""
        with self._changed:
            self._enter(joined.generation)
            self.info = joined
            self.timeline = list(joined.timeline)
        self.subscribe()
        self.notify()

    def on_message(self, message: Message) -> None:
        """A status, mark, reading or notice of this world arrived."""
        generation = getattr(message, "generation", 0)
        with self._changed:
            self._enter(generation)
            current = generation == self.generation
            if isinstance(message, Status) and current:
                self.status = message
            elif isinstance(message, Applied) and current:
                self.timeline = [*self.timeline, message][-KEPT:]
            elif isinstance(message, Reading) and current:
                self.readings.append(message)
            elif isinstance(message, Notice):
                self.notices.append(message)
        if isinstance(message, Notice) and message.kind in ("closed", "shutdown"):
            self.end(WorldClosed(f"{self.name} has ended: {message.text or message.kind}"))
        self.notify()

    # --- inside --------------------------------------------------------------------------------------------

    def _answer(self, future: "Future[T]", what: str) -> T:
        return wait_answer(future, self._channel.request_timeout_s, what)

    def _enter(self, generation: int) -> None:
        if generation > self.generation:
            self.timeline = []
            self.readings.clear()
        super()._enter(generation)

    def _state(self) -> str:
        status = self.status
        if status is None:
            return "the server has sent no status yet: is it still loading its model?"
        if status.generator != "ready":
            return f"the generator is {status.generator}: wait, or look at the server's log"
        if status.paused:
            return f"the world is paused at tick {status.tick}: resume or step it"
        if status.mode == "lockstep":
            return f"the world is in lockstep at tick {status.tick}: advance it"
        return f"the world is at tick {status.tick} ({status.mode})"


class Advance:
    """An `advance` that was sent, and the pictures that came since."""

    def __init__(self, world: World, answer: "Future[Done]") -> None:
        self.answer = answer
        self.pictures: list[Picture] = []
        self._world = world
        self._renewals = world.renewals
        self._answered = False
        self._may_be_lost = False
        """pictures that were on their way when the frame connection was renewed"""

    def changed(self) -> bool:
        """Whether it was answered, or the frame connection renewed, since `complete` was last asked."""
        return self.answer.done() != self._answered or self._world.renewals != self._renewals

    def complete(self) -> bool:
        """Whether it is answered and the picture of its last tick is here (or will not come).

        If it is answered and the frame connection was renewed, that picture may be lost: it is asked for again.
        """
        self._answered = self.answer.done()
        self._may_be_lost |= self._world.renewals != self._renewals
        self._renewals = self._world.renewals
        if not self._world.has_pictures or (self._answered and self.answer.exception() is not None):
            return True
        if not self._answered:
            return False
        done = self.answer.result()
        if any(p.header.generation == done.generation and p.header.tick >= done.tick - 1 for p in self.pictures[-1:]):
            return True
        if self._may_be_lost:
            self._may_be_lost = False
            self._world.subscribe(newest=True)
        return False


def pictures_of(done: Done, ticks: int, pictures: list[Picture]) -> list[Picture]:
    """Return those of `pictures` that belong to an answered `advance` by `ticks`."""
    first = done.tick - ticks
    return [p for p in pictures if p.header.tick >= first and p.header.generation == done.generation]
