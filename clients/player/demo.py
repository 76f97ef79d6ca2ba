"""The script's timeline, which plays by itself until somebody presses a key."""

from collections.abc import Sequence
from typing import NamedTuple

from longtake.protocol.messages import CueKind


class DemoCue(NamedTuple):
    """A cue of the demo and its tick."""

    tick: int
    kind: CueKind
    text: str
    """the event's name, or a prompt"""
    amend: bool | None = None


class Demo:
    """Hands out the cues as their ticks come, and begins again at the end."""

    def __init__(self, cues: Sequence[DemoCue], *, every: int = 0) -> None:
        """The cues repeat after `every` ticks; 0 plays them once."""
        self._cues = sorted(cues, key=lambda cue: cue.tick)
        self._every = every
        self._next = 0
        self._offset = 0
        self.running = bool(cues)
        """whether there is more to come"""

    def due(self, tick: int) -> list[DemoCue]:
        """Return the cues whose time has come at `tick` and that were not handed out before."""
        found: list[DemoCue] = []
        while self.running and self._cues[self._next].tick + self._offset <= tick:
            found.append(self._cues[self._next])
            self._next += 1
            if self._next == len(self._cues):
                self._next, self._offset = 0, self._offset + self._every
                self.running = self._every > 0
        return found

    def stop(self) -> None:
        """Hand out no more."""
        self.running = False
