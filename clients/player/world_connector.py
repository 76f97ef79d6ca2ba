"""Keeps the player in a world: opens or joins it, and does so again after the server was restarted.

Runs on a thread of its own, because opening a world may take as long as loading a model. The session itself
reconnects and rejoins; what is left for here is the world that no longer exists at a restarted server.
"""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from longtake.clients.player.state import ConnectionPhase
from longtake.clients.session import ConnectionState, Session, World
from longtake.protocol.errors import LongtakeError, VersionMismatch

logger = logging.getLogger(__name__)

RETRY_S = 1.5
"""between two attempts"""
PATIENCE_S = 86_400.0
"""how long the session looks for a lost server: in practice until the player is closed"""


class Entry(Protocol):
    """How to enter a world: the player's `OpenWorld` or `JoinWorld`, or one of a test."""

    def __call__(self, session: Session) -> World:
        """Open or join. Raises LongtakeError."""


class WorldConnector:
    """Holds the session and the world. Calls `wake`, on any thread, when there is something new to show."""

    def __init__(self, session: Session, enter: Entry, wake: Callable[[], None], *, retry_s: float = RETRY_S) -> None:
        self._session = session
        self._enter = enter
        self._wake = wake
        self._retry_s = retry_s
        self._again = threading.Event()
        self._stop = threading.Event()
        self._over = threading.Event()
        """the world has ended, or the connector stops"""
        self._thread = threading.Thread(target=self._run, name="player-link", daemon=True)
        self.world: World | None = None
        """the world to show; the old one until a new one is entered"""
        self.fatal: LongtakeError | None = None
        """why there will be no world"""
        self._state: ConnectionPhase = "connecting"
        self._detail = "opening the world; the first time a model is loaded this takes a while"

    def start(self) -> None:
        """Start entering the world."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread. The session stays open: it belongs to the caller."""
        self._stop.set()
        self._again.set()
        self._over.set()
        self._thread.join(timeout=2.0)

    def reopen(self) -> None:
        """Enter a world again after this one has ended."""
        if self._state in ("closed", "failed"):
            self._set("connecting", "")
            self._again.set()

    def connection(self) -> tuple[ConnectionPhase, str]:
        """Return the state of the connection, and one line about it."""
        if self._state == "live" and self._session.state is ConnectionState.RECONNECTING:
            return "reconnecting", f"{self._session.endpoint} does not answer; trying again"
        return self._state, self._detail

    def _run(self) -> None:
        while not self._stop.is_set():
            self._again.clear()
            world = self._try_enter()
            if world is None:
                self._again.wait(None if self._state == "failed" else self._retry_s)
                continue
            self.world = world
            self._set("live", "")
            self._watch(world)

    def _try_enter(self) -> World | None:
        try:
            return self._enter(self._session)
        except LongtakeError as error:
            logger.info("the world cannot be entered yet: %s", error)
            hopeless = isinstance(error, VersionMismatch) or self._session.state is ConnectionState.CLOSED
            waiting = error.retryable or self._session.state is not ConnectionState.CONNECTED
            if hopeless or not waiting:
                self.fatal = error if self.world is None else None
                self._set("failed", str(error))
            else:
                self._set("reconnecting" if self.world else "connecting", str(error))
            return None

    def _watch(self, world: World) -> None:
        """Wake the player on every arrival until the world ends, then decide what follows."""
        self._over.clear()

        def changed() -> None:
            if world.ended is not None:
                self._over.set()
            self._wake()

        unlisten = world.listen(changed)
        changed()
        while not self._stop.is_set() and not self._over.wait(self._retry_s):
            self._wake()  # a lost connection sends no message
        unlisten()
        if self._stop.is_set():
            return
        closed = any(notice.kind == "closed" for notice in world.notices)
        if closed or self._session.state is ConnectionState.CLOSED:
            self._set("closed", f"{world.ended}; F5 opens it again" if closed else str(world.ended))
            self._again.wait()
        else:
            self._set("reconnecting", str(world.ended))

    def _set(self, state: ConnectionPhase, detail: str) -> None:
        self._state, self._detail = state, detail
        self._wake()
