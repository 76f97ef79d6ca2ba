"""Rolling statistics over the newest observations, for the lead, the status and the latency figures."""

import math
from collections import deque


class Rolling:
    """Percentiles of the newest `capacity` observations (nearest rank: always a value that was observed)."""

    def __init__(self, capacity: int = 128) -> None:
        if capacity < 1:
            raise ValueError(f"capacity must be at least 1, not {capacity}")
        self._values: deque[float] = deque(maxlen=capacity)

    def __len__(self) -> int:
        return len(self._values)

    def add(self, value: float) -> None:
        """Add one observation; the oldest is dropped beyond `capacity`."""
        self._values.append(value)

    def clear(self) -> None:
        """Forget everything."""
        self._values.clear()

    def percentile(self, percent: float) -> float | None:
        """Return the smallest observation with at least `percent` % at or below it; None without observations."""
        if not self._values:
            return None
        rank = max(1, math.ceil(percent / 100 * len(self._values)))
        return sorted(self._values)[rank - 1]

    def median(self) -> float | None:
        """Return the 50th percentile; None without observations."""
        return self.percentile(50)


class Pace(Rolling):
    """How long something takes when it goes on as it has lately: blocks, or recaches.

    What is usual is the `percent` percentile of the newest `capacity` times, the longest of them left out. A longer
    time counts in full when it comes, and what it adds to the usual then halves every `halves_in_s` seconds. So a slow
    first block, or any single one, is forgotten in seconds.
    """

    def __init__(self, capacity: int, *, percent: float, halves_in_s: float, most: float = math.inf) -> None:
        """A time counts as `most` seconds at the most."""
        super().__init__(capacity)
        self._percent = percent
        self._halves_in_s = halves_in_s
        self._most = most
        self._longest = 0.0

    def add(self, value: float) -> None:
        """Add one time, s."""
        super().add(value)
        self._longest = max(self._longest, min(value, self._most))

    def clear(self) -> None:
        """Forget everything."""
        super().clear()
        self._longest = 0.0

    def forget(self, seconds: float, first_guess: float | None = None) -> None:
        """Let that much time pass; `first_guess` as in `slowest`."""
        usual = self._usual(first_guess)
        if usual is not None and self._longest > usual:
            self._longest = usual + (self._longest - usual) * 0.5 ** (seconds / self._halves_in_s)

    def slowest(self, first_guess: float | None = None) -> float | None:
        """Return the slowest that is plausible now, s; None without observations.

        `first_guess` is what a first time is taken to come down to if it was longer.
        """
        usual = self._usual(first_guess)
        return None if usual is None else max(usual, self._longest)

    def _usual(self, first_guess: float | None) -> float | None:
        count = len(self)
        if not count:
            return None
        if count < 3:
            # Two do not tell which of them is the exception: believe the newer one.
            newest = min(self._values[-1], self._most)
            return newest if first_guess is None or count > 1 else min(newest, first_guess)
        rank = max(1, min(math.ceil(self._percent / 100 * count), count - 1))
        return min(sorted(self._values)[rank - 1], self._most)


class Rate:
    """Events per second over the last `window_s` seconds."""

    def __init__(self, window_s: float = 1.0) -> None:
        self._window_s = window_s
        self._times: deque[float] = deque()

    def add(self, now: float) -> None:
        """Count one event at `now`."""
        self._times.append(now)
        self._forget(now)

    def per_second(self, now: float) -> float:
        """Return the events in the window that ends at `now`, divided by its length."""
        self._forget(now)
        return len(self._times) / self._window_s

    def _forget(self, now: float) -> None:
        while self._times and self._times[0] <= now - self._window_s:
            self._times.popleft()
