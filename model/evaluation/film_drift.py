"""What minutes do to a film of any model: colour, sharpness and motion of short windows against its fifth second."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from longtake.model.evaluation.measures.drift import START_S, WINDOW_S, colour_distance, moments

Pictures = NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class Window:
    """One window against the first."""

    seconds: float
    """when it ends"""
    colour: float
    """distance of the mean colours, of 255"""
    sharpness: float
    """gradient energy over the first's"""
    motion: float
    """mean change from frame to frame over the first's"""


def windows(seconds: float, fps: float) -> list[tuple[int, int]]:
    """Return the ticks (first, end) of the windows of a film; empty if it ends before a second one would."""
    if seconds < START_S + WINDOW_S:
        return []
    ends = [round(end * fps) for end in moments(seconds)]
    return [(max(0, end - round(WINDOW_S * fps)), end) for end in ends]


def film_drift(parts: list[tuple[float, Pictures]]) -> list[Window]:
    """Compare windows with the first: (seconds, frames [T, H, W, 3] uint8, two or more of them) each."""
    first = parts[0][1]
    base = _sharpness(first), _motion(first)
    return [
        Window(
            seconds=seconds,
            colour=colour_distance(frames, first),
            sharpness=_sharpness(frames) / max(base[0], 1e-9),
            motion=_motion(frames) / max(base[1], 1e-9),
        )
        for seconds, frames in parts
    ]


def _sharpness(frames: Pictures) -> float:
    values = frames.astype(np.float32)
    return float((np.diff(values, axis=2) ** 2).mean() + (np.diff(values, axis=1) ** 2).mean())


def _motion(frames: Pictures) -> float:
    return float(np.abs(np.diff(frames.astype(np.float32), axis=0)).mean())
