"""Prepares prompts ahead of the steps that need them, so that text encoding takes no time from a block."""

import logging
import queue
import threading

from longtake.model import interface
from longtake.protocol.conditioning import Conditioning

log = logging.getLogger(__name__)


class Encoder:
    """Prepares conditionings ahead of their steps, on a thread of its own. The models keep the results."""

    MAX_WAITING = 32
    """more hints are ignored; the step then prepares its conditioning itself"""

    def __init__(self) -> None:
        self._hints: queue.SimpleQueue[tuple[interface.WorldModel, Conditioning] | None] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def hint(self, model: interface.WorldModel, conditioning: Conditioning) -> None:
        """Prepare a conditioning soon, on the encoder's thread."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="generator-encoder", daemon=True)
            self._thread.start()
        if self._hints.qsize() < self.MAX_WAITING:
            self._hints.put((model, conditioning))

    def encode(self, model: interface.WorldModel, conditioning: Conditioning) -> None:
        """Prepare a conditioning; waits if the encoder's thread is busy with it."""
        with self._lock:
            model.prepare(for_model(conditioning))

    def close(self) -> None:
        """End the thread."""
        if self._thread is not None:
            self._hints.put(None)
            self._thread.join(timeout=5)

    def _run(self) -> None:
        while (item := self._hints.get()) is not None:
            try:
                self.encode(*item)
            except Exception:  # The step will meet the same error and answer with it.
                log.exception("a conditioning could not be prepared ahead")


def for_model(conditioning: Conditioning) -> interface.Conditioning:
    """Return a conditioning as models take it: the only place where one becomes the other."""
    return interface.Conditioning(prompt=conditioning.prompt, actions=conditioning.actions)
