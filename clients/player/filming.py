"""The film of a world that is being played: begun and ended by F9, saved by a recorder of its own."""

from collections.abc import Callable
from pathlib import Path

from longtake.clients.player.film_recorder import FilmRecorder
from longtake.clients.player.inbox import Inbox
from longtake.clients.player.state import PlayerState
from longtake.clients.session import Session, World


class Filming:
    """At most one film at a time. `state.filming` names it while it is taken."""

    def __init__(self, state: PlayerState, toast: Callable[..., None], inbox: Inbox) -> None:
        self.connect: Callable[[], Session] | None = None
        """opens the connection that a film is taken over"""
        self.recorder: FilmRecorder | None = None
        """of the film under way, until its file is saved"""
        self._state = state
        self._toast = toast
        self._inbox = inbox

    def begin(self, world: World | None, path: Path) -> None:
        """Film the world to `path` from its next frame on."""
        if world is None or self.connect is None:
            self._toast("no film: the world is not reached through an address", bad=True)
            return

        def done(line: str, there: bool) -> None:
            self._inbox.put(lambda: self._done(line, there))

        self.recorder = FilmRecorder(self.connect, world=world.name, path=path, done=done)
        self._state.filming = path.name
        self.recorder.start()
        self._toast(f"Filming {path}; F9 ends it")

    def end(self) -> None:
        """End with the frame on the screen. The file is saved a little later."""
        if self.recorder is not None and self._state.filming:
            frame = self._state.frame
            self.recorder.stop((frame.generation, frame.tick) if frame is not None else (0, 0))
            self._state.filming = ""

    def finish(self) -> None:
        """End, and wait until the file is saved."""
        self.end()
        if self.recorder is not None:
            self.recorder.wait()

    def _done(self, line: str, there: bool) -> None:
        self.recorder = None
        self._state.filming = ""
        self._toast(line, bad=not there)
