"""What a world shows, and when: the frames made but not shown, the tick, and the three modes.

`live` shows one frame at each deadline; if the next frame is not ready, it holds the last one. `lockstep` shows frames
only while an `advance` asks for them. `offline` shows them as fast as they are taken.
"""

from collections import deque
from dataclasses import dataclass

from longtake.protocol.errors import Refused
from longtake.protocol.messages import Mode
from longtake.runtime.world.deadlines import Deadlines
from longtake.runtime.world.effects import Requester
from longtake.runtime.world.outgoing_frame import OutgoingFrame
from longtake.runtime.world.statistics import Rate, Rolling


@dataclass(frozen=True, kw_only=True, slots=True)
class Shown:
    """One frame goes out."""

    frame: OutgoingFrame
    held: bool


@dataclass(kw_only=True)
class Run:
    """A request to show a number of frames: `step` or `advance`."""

    frames: int
    who: Requester
    """who gets the answer when it is done"""


MAX_RUNS = 1000
"""runs of one world that may wait for their turn"""


class Playback:
    """Frames made but not shown, and the tick of the next one. Driven with explicit `now`."""

    def __init__(self, *, fps: int, mode: Mode, paused: bool) -> None:
        self.mode: Mode = mode
        self.paused = paused
        self.tick = 0
        """frames of this take that were shown or cut: the tick of the next frame"""
        self.shown = 0
        self.held = 0
        self.skipped = 0
        self.last: OutgoingFrame | None = None
        self.late_ms = Rolling(256)
        self.finished: list[Run] = []
        """runs that ended; the caller empties this"""
        self._ready: deque[OutgoingFrame] = deque()
        self._runs: deque[Run] = deque()
        self._deadlines = Deadlines(fps)
        self._rate = Rate()

    @property
    def lead(self) -> int:
        """Frames made but not shown."""
        return len(self._ready)

    @property
    def block(self) -> int:
        """The block of the frame that is shown; 0 before the first."""
        return self.last.block if self.last is not None else 0

    @property
    def deadline(self) -> float | None:
        """When `show` is next worth calling in live mode; None when nothing is scheduled."""
        return self._deadlines.deadline

    @property
    def asked(self) -> int:
        """Frames that runs still ask for."""
        return sum(run.frames for run in self._runs)

    @property
    def running(self) -> bool:
        """Whether frames are to be shown now, by the mode, the pause and the runs."""
        if self._runs:
            return True
        return not self.paused and self.mode != "lockstep"

    def next_frame(self) -> OutgoingFrame | None:
        """Return the frame that is shown next, or None."""
        return self._ready[0] if self._ready else None

    def add(self, frames: list[OutgoingFrame], now: float) -> None:
        """Add a block's frames. The first block of a take starts the deadlines."""
        self._ready.extend(frames)
        self._wake(now)

    def cut(self, first_tick: int, now: float) -> int:
        """Drop the unshown frames before `first_tick`; return how many were dropped. In live mode go on there at once.

        The deadlines start over if anything was dropped: what comes is a cut in any case, and need not wait for one.
        """
        dropped = 0
        while self._ready and self._ready[0].tick < first_tick:
            self._ready.popleft()
            dropped += 1
        self.tick += dropped
        if dropped and self._deadlines.deadline is not None:
            self._deadlines.anchor(now)
        return dropped

    def pause(self) -> None:
        """Stop showing, except for frames that runs still ask for."""
        self.paused = True
        if not self._runs:
            self._deadlines.stop()

    def resume(self, now: float) -> None:
        """Go on. The deadlines start over, so the pause is not made up."""
        self.paused = False
        self._wake(now)

    def require_room(self) -> None:
        """Raise `Refused("too_fast")` if too many runs wait."""
        if len(self._runs) >= MAX_RUNS:
            raise Refused("too_fast", f"{MAX_RUNS} steps of this world already wait for their turn; send fewer")

    def run(self, frames: int, who: Requester, now: float) -> None:
        """Show `frames` more frames (`step` pauses after them). Call `require_room` first."""
        self._runs.append(Run(frames=frames, who=who))
        self._wake(now)

    def drop_runs(self) -> list[Run]:
        """Cancel all runs and return them."""
        runs = list(self._runs)
        self._runs.clear()
        if self.paused:
            self._deadlines.stop()
        return runs

    def reset(self) -> None:
        """Start a new take: nothing of the old one is shown any more, not even held."""
        self._ready.clear()
        self._deadlines.stop()
        self.last = None
        self.tick = 0

    def show(self, now: float) -> Shown | None:
        """Return the frame to show at `now`, or None if it is not time."""
        if self.mode == "live":
            return self._show_live(now)
        if not self.running or not self._ready:
            return None
        return self._next(now)

    def fps(self, now: float) -> float:
        """Return the frames shown in the last second, held ones not counted."""
        return self._rate.per_second(now)

    def _show_live(self, now: float) -> Shown | None:
        due = self._deadlines.take(now)
        if due is None:
            return None
        self.skipped += due.skipped
        self.late_ms.add(due.late_s * 1000)
        if self._ready:
            return self._next(now)
        if self.last is None:
            return None
        self.held += 1
        return Shown(frame=self.last, held=True)

    def _next(self, now: float) -> Shown:
        frame = self._ready.popleft()
        self.last = frame
        self.tick = frame.tick + 1
        self.shown += 1
        self._rate.add(now)
        self._count_run()
        return Shown(frame=frame, held=False)

    def _count_run(self) -> None:
        if not self._runs:
            return
        self._runs[0].frames -= 1
        if self._runs[0].frames == 0:
            self.finished.append(self._runs.popleft())
        if not self._runs and self.paused:
            self._deadlines.stop()

    def _wake(self, now: float) -> None:
        """Start the live deadlines if they are stopped, the world runs, and there is a frame to show."""
        waiting = self.mode == "live" and self._deadlines.deadline is None
        if waiting and self.running and (self._ready or self.last is not None):
            self._deadlines.anchor(now)
