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
