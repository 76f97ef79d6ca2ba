"""Small pictures and marks for the tests of films."""

from typing import Any

import numpy as np

from longtake.protocol import messages as m


def mark(tick: int, label: str, kind: Any = "event") -> m.Applied:
    return m.Applied(
        world="w", generation=0, cue=tick, block=tick // 4, tick=tick, kind=kind, label=label, prompt=f"a fox, {label}"
    )


def picture(value: int, size: tuple[int, int] = (96, 160)) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.full((*size, 3), value, np.uint8)
