"""The world that `longtake serve` opens, so that whoever joins has one to see."""

import logging
import threading
from types import TracebackType
from typing import TYPE_CHECKING

from longtake.protocol.errors import LongtakeError

if TYPE_CHECKING:
    from longtake.clients.session import Session, World
    from longtake.scenarios.schema import Scenario

log = logging.getLogger(__name__)


class FirstWorld:
    """Opens a world at a server and stays in it, so that the server keeps it.

    The world stands still while nobody else is in it: a server that nobody watches should cost nothing.
    """

    def __init__(self, endpoint: str, scenario: "Scenario", model: str) -> None:
        self._endpoint = endpoint
        self._scenario = scenario
        self._model = model
        self._session: Session | None = None
        self._alone = True
        self._stop = threading.Event()
        self._changed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="first-world", daemon=True)

    def __enter__(self) -> "FirstWorld":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._changed.set()
        if self._thread.is_alive():
            self._thread.join(timeout=2)
        if self._session is not None:
            self._session.close()

    def open(self) -> str:
        """Open the world and return its name. Raises LongtakeError."""
        from longtake.clients.session import Session

        self._session = Session.connect(self._endpoint, client="longtake-serve", reconnect_s=0.0)
        self._world = self._session.open(
            self._model, script=self._scenario.script(), seed=self._scenario.seed, paused=True, delivery=None
        )
        self._world.listen(self._changed.set)
        self._thread.start()
        return self._world.name

    def _run(self) -> None:
        while not self._stop.is_set():
            self._changed.wait()
            self._changed.clear()
            if self._world.ended is not None:
                return
            try:
                self._follow(self._world)
            except LongtakeError as error:
                log.debug("the first world is left as it is: %s", error)

    def _follow(self, world: "World") -> None:
        """Let the world run when somebody is there, and pause it when the last one has left."""
        status = world.status
        alone = status is None or status.members <= 1
        if alone == self._alone:
            return
        self._alone = alone
        if alone:
            world.pause()
        else:
            world.resume()
