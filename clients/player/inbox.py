"""Work that other threads leave for the player's loop, and the event that wakes it."""

import logging
import queue
from collections.abc import Callable

import pygame

logger = logging.getLogger(__name__)


class Inbox:
    """Takes work from any thread; the loop runs it. However often it is woken, one event waits in pygame's queue."""

    def __init__(self) -> None:
        self._work: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._wake_type = pygame.event.custom_type()
        self._woken = False

    def put(self, work: Callable[[], None]) -> None:
        """Leave `work` for the loop's next turn."""
        self._work.put(work)
        self.wake()

    def wake(self) -> None:
        """Make the loop turn soon."""
        if self._woken:
            return
        self._woken = True
        try:
            pygame.event.post(pygame.event.Event(self._wake_type))
        except pygame.error:
            logger.debug("woken after the window was closed")

    def handle(self, event: pygame.event.Event) -> bool:
        """Take the event that woke the loop; return whether it was that one."""
        if event.type != self._wake_type:
            return False
        self._woken = False
        return True

    def run(self) -> None:
        """Do everything that was left here, in order."""
        while not self._work.empty():
            self._work.get()()
