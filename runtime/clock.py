"""The clock of the runtime. Everything that reads the time or waits takes one, so that tests can drive it."""

import time
from typing import Protocol


class Clock(Protocol):
    """Monotonic seconds, and waiting."""

    def now(self) -> float:
        """Return monotonic seconds; only differences mean anything."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait for that long."""
        ...


class MonotonicClock:
    """The machine's own monotonic clock."""

    def now(self) -> float:
        """Return `time.perf_counter()`: monotonic, and finer than a microsecond on every system."""
        return time.perf_counter()

    def sleep(self, seconds: float) -> None:
        """Wait for `seconds`."""
        time.sleep(seconds)


def wait_until(clock: Clock, deadline: float, *, spin_s: float = 0.0004) -> None:
    """Return at `deadline`, having slept until `spin_s` before it and spun for the rest.

    A sleep ends about 60 microseconds late on Linux, and later on other systems. The short spin keeps that out of
    the tick's jitter without keeping a core busy.
    """
    coarse = deadline - clock.now() - spin_s
    if coarse > 0:
        clock.sleep(coarse)
    while clock.now() < deadline:
        pass
