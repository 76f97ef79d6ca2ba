"""What the player asks of its world: events, prompts and actions, and what becomes of each."""

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from longtake.clients.player.inbox import Inbox
from longtake.clients.player.state import PendingCue, PlayerState
from longtake.clients.session import World
from longtake.protocol.errors import LongtakeError
from longtake.protocol.messages import Ack, Action, Done


class WorldRequests:
    """Sends requests without waiting. What is refused is shown as a toast; answers are handled in the loop."""

    def __init__(
        self, state: PlayerState, toast: Callable[..., None], inbox: Inbox, clock: Callable[[], float]
    ) -> None:
        """`clock` returns seconds on the player's clock."""
        self.world: World | None = None
        """the world that is asked; None until there is one"""
        self._state = state
        self._toast = toast
        self._inbox = inbox
        self._clock = clock

    def fire(self, event: str, *, cut_in: bool = False) -> None:
        """Fire an event of the script; with `cut_in` ahead of the frames that are already made."""
        world = self._steerable()
        if world is not None:
            cue = self._state.press("event", event, self._clock())
            self._send(cue, lambda: world.event(event, cut_in=cut_in, wait=False))

    def say(self, text: str, *, cut_in: bool = False) -> None:
        """Send a typed prompt; `cut_in` as in `fire`."""
        world = self._steerable()
        if world is not None:
            cue = self._state.press("prompt", text, self._clock())
            self._send(cue, lambda: world.prompt(text, cut_in=cut_in, wait=False))

    def control(self, action: Action, **fields: Any) -> None:
        """Ask the world for an action."""
        world = self._steerable()
        if world is None:
            return
        try:
            future = world.control(action, **fields)
        except LongtakeError as error:
            self._toast(str(error), bad=True)
            return
        # Futures complete on the connection's thread.
        future.add_done_callback(lambda done: self._inbox.put(lambda: self._answered(action, done)))

    def _steerable(self) -> World | None:
        """Return the world if it can be steered now; otherwise say why not."""
        if self._state.connection != "live":
            self._toast("not connected: nothing can be sent now", bad=True)
        elif not self._state.director:
            self._toast("viewers only watch: join with --role director to steer")
        else:
            return self.world
        return None

    def _send(self, cue: PendingCue, ask: Callable[[], "Future[Ack]"]) -> None:
        try:
            future = ask()
        except LongtakeError as error:
            self._state.refused(cue, str(error), self._clock())
            return
        future.add_done_callback(lambda done: self._inbox.put(lambda: self._acknowledged(cue, done)))

    def _acknowledged(self, cue: PendingCue, future: "Future[Ack]") -> None:
        error = future.exception()
        if error is None:
            cue.ack = future.result()
            understood = cue.ack.understood
            if cue.kind == "prompt" and understood is not None and understood.unknown:
                self._toast(f"{self._state.model} does not know: {', '.join(understood.unknown)}")
        else:
            self._state.refused(cue, str(error), self._clock())

    def _answered(self, action: Action, future: "Future[Done]") -> None:
        error = future.exception()
        if error is not None:
            self._toast(str(error), bad=True)
        elif action == "record_stop":
            self._toast(f"Recorded {future.result().detail}".strip())
