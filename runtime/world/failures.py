"""What a world does when its generator fails: all decisions, and what follows from them.

    a command fails        restore the world from its newest restore point
    the restore fails      begin a new take
    opening fails          close the world: it never ran
    the generator is lost  hold the last frame, and restore the world in the next generator
    three in a row         close the world: it fails at the same block again and again

A model that cannot save its worlds begins a new take instead of a restore.
"""

import logging
from typing import Literal, Protocol

from longtake.protocol.generator_messages import GenError
from longtake.runtime.world.generator_link import GeneratorLink

log = logging.getLogger(__name__)
MAX_FAILURES = 3
"""failures in a row, with no new block in between, after which a world is closed"""


class FailingWorld(Protocol):
    """What the policy asks of the world."""

    def reset(self, seed: int | None, why: str = "") -> None:
        """Begin a new take; members are told why."""
        ...

    def close(self, text: str) -> None:
        """End the world; members are told why."""
        ...

    def notice(self, kind: Literal["generator_lost", "generator_back"], text: str) -> None:
        """Tell the members that something happened."""
        ...


class FailurePolicy:
    """The failures of one world's generator, and what is done about them."""

    def __init__(self, world: FailingWorld, link: GeneratorLink) -> None:
        self._world = world
        self._link = link
        self._in_a_row = 0
        self._lost_told = False
        """members were told that the generator is gone, and not yet that it is back"""

    def block_made(self) -> None:
        """A new block ends a row of failures."""
        self._in_a_row = 0

    def command_failed(self, message: GenError) -> None:
        """A command failed, and the generator lives on."""
        link = self._link
        if message.generation != link.generation or link.phase == "closed":
            return
        if link.phase == "ready" and not link.waits_for_block:
            log.warning("world %s could not be saved: %s", link.world, message.message)
            return
        self._in_a_row += 1
        if link.phase == "opening" or self._in_a_row >= MAX_FAILURES:
            link.refuse_opener(message.code, message.message)
            self._give_up(message.message)
        elif link.phase == "restoring":
            self._begin_again(message.message)
        else:
            self._restore(message.message)

    def generator_lost(self) -> None:
        """The generator is gone: hold the last frame until `generator_back`."""
        link = self._link
        if link.phase == "closed":
            return
        if not self._lost_told:
            self._lost_told = True
            self._world.notice("generator_lost", "the generator stopped; a new one is being started")
        if link.waits_for_block:
            self._in_a_row += 1
            if self._in_a_row >= MAX_FAILURES:
                self._give_up("it died at the same block again and again")
                return
        link.interrupted()

    def generator_back(self) -> None:
        """A new generator is ready: bring the world back in it."""
        if self._link.phase == "opening":
            self._link.open_again()
        elif self._link.phase in ("lost", "restoring"):
            self._restore("it was lost, and this model cannot save its worlds")

    def tell_if_back(self) -> None:
        """Tell the members, once, that a lost world has caught up."""
        if self._lost_told and self._link.phase == "ready" and not self._link.behind:
            self._lost_told = False
            self._world.notice("generator_back", "the take goes on")

    def _restore(self, why: str) -> None:
        if self._link.can_restore:
            self._link.restore()
        else:
            self._begin_again(why)

    def _begin_again(self, why: str) -> None:
        log.warning("world %s begins a new take: %s", self._link.world, why)
        self._world.reset(None, f"the generator failed: {why}")

    def _give_up(self, why: str) -> None:
        self._world.close(f"the generator failed: {why}")
