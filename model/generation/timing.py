"""Measures where a block's time goes, by named regions."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch

REGIONS = ("text", "recache", "denoise", "clean", "decode")


class Stopwatch:
    """Adds up the time spent in regions until it is read.

    On a CUDA device it measures the stream's time between events, so the host does not wait.

    Args:
        device: whose time is measured.
        clock: seconds, for a device other than CUDA (tests pass their own).
    """

    def __init__(self, device: torch.device, clock: Callable[[], float]) -> None:
        self._cuda = device.type == "cuda"
        self._clock = clock
        self._spent_ms = dict.fromkeys(REGIONS, 0.0)
        self._events: list[tuple[str, torch.cuda.Event, torch.cuda.Event]] = []

    @contextmanager
    def region(self, name: str) -> Iterator[None]:
        """Add the time of what runs inside to one of `REGIONS`."""
        if self._cuda:
            start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            start.record()
            yield
            end.record()
            self._events.append((name, start, end))
        else:
            before = self._clock()
            yield
            self._spent_ms[name] += (self._clock() - before) * 1e3

    def read(self) -> dict[str, float]:
        """Return milliseconds by region since the last reading, and start over.

        What the device has not finished yet counts in a later reading.
        """
        spent, self._spent_ms = self._spent_ms, dict.fromkeys(REGIONS, 0.0)
        done = [event for event in self._events if event[2].query()]
        self._events = [event for event in self._events if event not in done]
        for name, start, end in done:
            spent[name] += start.elapsed_time(end)
        return spent
