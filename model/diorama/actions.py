"""What a hand on the stick asks of the world: two axes, one vector for each latent frame.

`speed` runs from -1 (back) over -0.5 (stand still) and 0 (the scene's own pace) to 1 (run).
`lift` runs from -1 (dive or duck) over 0 to 1 (climb or jump).
A row of zeros is what the world does by itself.
"""

from typing import Final

import numpy as np
from numpy.typing import NDArray

Actions = NDArray[np.float32]
"""`[ceil(T / 4), 2] float32`, each value in -1..1, the columns in the order of `AXES`."""

AXES: Final = ("speed", "lift")
ACTION_FRAMES: Final = 4
"""Frames an action lasts: those of one latent frame."""
RUN: Final = 2.2
"""How many times its own pace the world runs at speed 1."""

_SPEEDS: Final = (-1.0, -0.5, 0.0, 1.0)
_PACES: Final = (-1.0, 0.0, 1.0, RUN)
_HOLD: Final = (2, 8)
"""Shortest and longest hold of a random track, in latent frames: 0.5 to 2 seconds."""
_IDLE_ODDS: Final = 0.25
_KEYS: Final = {"speed": (-1.0, -1.0, -0.5, 1.0), "lift": (-1.0, 1.0)}
"""What keys ask for, back twice as often: it is what is learned last. Sticks ask for anything between."""
_KEY_ODDS: Final = 0.6
_ONE_AXIS_ODDS: Final = 0.7


def action_steps(frames: int) -> int:
    """How many actions a clip of `frames` frames takes."""
    return -(-frames // ACTION_FRAMES)


def no_actions(frames: int) -> Actions:
    """The track of a clip that nobody steers."""
    return np.zeros((action_steps(frames), len(AXES)), np.float32)


def checked(actions: Actions, frames: int) -> Actions:
    """The actions, if they fit a clip of `frames` frames.

    Raises:
        ValueError: the shape is wrong, or a value is not a number in -1..1.
    """
    expected = (action_steps(frames), len(AXES))
    if actions.shape != expected:
        raise ValueError(f"a clip of {frames} frames takes actions of shape {expected}, got {actions.shape}")
    if not (np.abs(actions) <= 1).all():
        raise ValueError("every action must be a number from -1 to 1")
    return actions.astype(np.float32)


def pace(speed: NDArray[np.floating]) -> NDArray[np.float64]:
    """What `speed` multiplies the scene's own pace by: -1 at -1, 0 at -0.5, 1 at 0 and `RUN` at 1, linear between."""
    paces: NDArray[np.float64] = np.interp(speed, _SPEEDS, _PACES)
    return paces


def random_actions(rng: np.random.Generator, steps: int) -> Actions:
    """A track of `steps` actions as a player makes them: held for a while, then changed, one in four at rest."""
    track = np.zeros((steps, len(AXES)), np.float32)
    start = -int(rng.integers(_HOLD[0]))
    while start < steps:
        stop = start + int(rng.integers(_HOLD[0], _HOLD[1] + 1))
        track[max(start, 0) : max(stop, 0)] = _random_action(rng)
        start = stop
    return track


def _random_action(rng: np.random.Generator) -> tuple[float, float]:
    if rng.random() < _IDLE_ODDS:
        return 0.0, 0.0
    values = [
        float(rng.choice(_KEYS[axis])) if rng.random() < _KEY_ODDS else float(rng.uniform(-1, 1)) for axis in AXES
    ]
    if rng.random() < _ONE_AXIS_ODDS:
        values[int(rng.integers(len(AXES)))] = 0.0
    return values[0], values[1]
