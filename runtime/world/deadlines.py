"""The deadlines of a world: `anchor + n / fps`, so that one late tick never makes a later one late."""

import math
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Due:
    """A deadline that has passed."""

    deadline: float
    """in seconds of the clock"""
    late_s: float
    """how late the loop noticed it"""
    skipped: int
    """earlier deadlines that the loop missed"""


class Deadlines:
    """Absolute deadlines at a fixed rate. Stopped until `anchor` is called.

        schedule.anchor(clock.now())
        while True:
            wait until schedule.deadline
            due = schedule.take(clock.now())    # None when it is not time yet

    Deadlines that passed while the loop was away are skipped and counted, never made up in a burst.
    """

    def __init__(self, fps: float) -> None:
        if fps <= 0:
            raise ValueError(f"fps must be positive, not {fps}")
        self._fps = fps
        self._anchor: float | None = None
        self._next = 0

    @property
    def deadline(self) -> float | None:
        """The next deadline; None while stopped."""
        return None if self._anchor is None else self._anchor + self._next / self._fps

    def anchor(self, now: float) -> None:
        """Start over: the next deadline is `now`, and the others follow from it."""
        self._anchor, self._next = now, 0

    def stop(self) -> None:
        """Stop: there are no deadlines until `anchor` is called."""
        self._anchor = None

    def take(self, now: float) -> Due | None:
        """Return the newest deadline at or before `now` that was not taken yet, or None."""
        deadline = self.deadline
        if deadline is None or self._anchor is None or now < deadline:
            return None
        # floor may round one too low when `now` lies exactly on a deadline: never go back
        newest = max(self._next, math.floor((now - self._anchor) * self._fps))
        skipped = newest - self._next
        self._next = newest + 1
        newest_deadline = self._anchor + newest / self._fps
        return Due(deadline=newest_deadline, late_s=max(0.0, now - newest_deadline), skipped=skipped)
