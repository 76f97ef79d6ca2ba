"""Steering by hand: sends what is held to the world, and measures how long it takes to reach the screen."""

import logging
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass

from longtake.clients.player.state import PENDING_S, PlayerState
from longtake.clients.player.stick import Stick
from longtake.clients.session import World
from longtake.protocol.errors import LongtakeError
from longtake.protocol.messages import Frame, InputAck, Joined

logger = logging.getLogger(__name__)


@dataclass(kw_only=True)
class PendingInput:
    """An input from the hand until its first frame is on the screen."""

    moved: float
    """seconds"""
    answer: "Future[InputAck]"


class Steering:
    """The stick of a player. Times are seconds of the player's clock."""

    def __init__(self, state: PlayerState, toast: Callable[..., None]) -> None:
        self.stick = Stick()
        self._state = state
        self._toast = toast
        self._moved: float | None = None
        """when the hand moved last, if that has not been sent"""
        self._sent_at = float("-inf")
        self._pending: PendingInput | None = None
        self._told = False
        """the player was told that this world takes no input"""

    def joined(self, info: Joined) -> None:
        """A world was joined, perhaps again: the server knows of nothing that is held."""
        self.stick.use(info.model.axes)
        self._state.held = self.stick.values(0.0)
        self._pending = self._moved = None
        self._told = False

    def push(self, direction: str, now: float) -> None:
        """An arrow key goes down."""
        if self._may_steer():
            self.stick.push(direction, now)
            self._moved = now

    def release(self, direction: str, now: float) -> None:
        """An arrow key goes up."""
        self.stick.release(direction)
        self._moved = now

    def lean(self, stick: int, way: float, now: float) -> None:
        """A gamepad moves a stick; it may tremble all the time, so nothing is said if it may not steer."""
        if self._state.axes and self._state.director:
            self.stick.lean(stick, way)
            self._moved = now

    def button(self, number: int, now: float, *, down: bool) -> None:
        """A button of a gamepad goes down or up."""
        if self._state.axes and self._state.director:
            self.stick.button(number, down=down)
            self._moved = now

    def let_go(self, now: float) -> None:
        """Put everything at rest, because keys are for something else now."""
        self.stick.let_go()
        self._moved = now

    def moving(self, now: float) -> bool:
        """Whether there is more to send before anything else happens."""
        return self.stick.moving(now) or self.stick.values(now) != self._state.held

    def turn(self, world: World | None, now: float) -> None:
        """Send what is held if it has changed, at most once a tick."""
        values = self.stick.values(now)
        if world is None or values == self._state.held or self._state.connection != "live":
            return
        if not self._state.director:
            self.stick.let_go()
            return
        if now - self._sent_at < 1 / world.info.model.fps:
            return
        changed = {axis: value for axis, value in values.items() if value != self._state.held.get(axis)}
        try:
            answer = world.ask_input(changed)
        except LongtakeError as error:
            self._toast(str(error), bad=True)
            self.stick.let_go()
            return
        self._state.held, self._sent_at = values, now
        if self._pending is None:
            self._pending = PendingInput(moved=now if self._moved is None else self._moved, answer=answer)
        self._moved = None

    def shown(self, frame: Frame, now: float) -> float | None:
        """A frame has reached the screen: return the milliseconds from the hand to it if it is the first to show it."""
        pending = self._pending
        if pending is None or not pending.answer.done():
            return None
        if pending.answer.exception() is not None:
            self._toast(str(pending.answer.exception()), bad=True)
            self._pending = None
            return None
        ack = pending.answer.result()
        if frame.generation > ack.generation or now - pending.moved > PENDING_S:
            self._pending = None
        elif frame.generation == ack.generation and frame.tick >= ack.tick and not frame.held:
            self._pending = None
            latency_ms = (now - pending.moved) * 1e3
            self._state.input_latencies_ms.append(latency_ms)
            return latency_ms
        return None

    def _may_steer(self) -> bool:
        if not self._state.director:
            self._toast("watching only: join with the role of director to steer")
            return False
        if self._state.axes:
            return True
        if not self._told and self._state.info is not None:
            self._toast(f"{self._state.info.model.name} takes no input: arrow keys do nothing in this world")
            self._told = True
        return False
