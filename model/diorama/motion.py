"""How the world moves: the ground's pace, the camera's rise and a runner's leaps, one value for each frame.

Everything here depends on the frame before and the action of the moment, and all of it can be read from the picture.
So a model that sees a second of the past can carry it on.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from longtake.model.diorama.actions import ACTION_FRAMES, Actions, pace

Numbers = NDArray[np.float64]

PACE_EASE: Final = 0.35
"""Share of the way to the asked pace that one frame makes: four fifths within a latent frame."""
LIFT_EASE: Final = 0.36
"""The same for lift, which passes two such stages and so starts softly."""
LEAP_SPEED: Final = 6.0
"""Speed at take-off in units a frame."""
GRAVITY: Final = 1.0
"""Units a frame, each frame: a full leap is 18 units high and 12 frames long."""
_DIVE_GRAVITY: Final = 2.5
"""Gravity for a leap that is cut short by ducking."""
_WARM_UP: Final = 32
"""Frames before the clip in which its first action is already held."""


@dataclass(frozen=True, kw_only=True)
class Motion:
    """The motion of T frames. Lengths in units; speeds in units a frame."""

    velocity: Numbers
    """How far the ground scrolls from the frame before to this one, negative when it goes back: `[T]`."""
    distance: Numbers
    """How far the ground has scrolled: `[T]`, 0 at the first frame."""
    factor: Numbers
    """What multiplies the world's own pace: `[T]`."""
    lift: Numbers
    """What `lift` has come to so far, -1..1: `[T]`."""
    climb: Numbers
    """Change of `lift` from the frame before: `[T]`."""
    leap: Numbers
    """Height of a runner above the ground: `[T]`."""
    rise: Numbers
    """Upward speed of a runner: `[T]`."""


def motion(own: Numbers, actions: Actions) -> Motion:
    """The motion under `actions` of a world whose own pace is `own` `[T]` units a frame."""
    frames = len(own)
    held = np.repeat(actions.astype(np.float64), ACTION_FRAMES, axis=0)[:frames]
    held = np.concatenate([np.repeat(held[:1], _WARM_UP, axis=0), held])
    asked = pace(held[:, 0])
    factor = _eased(asked, PACE_EASE)[_WARM_UP:]
    lift = _eased(_eased(held[:, 1], LIFT_EASE), LIFT_EASE)
    leap, rise = _leaps(held[:, 1])
    velocity = own * factor
    return Motion(
        velocity=velocity,
        distance=np.cumsum(velocity) - velocity[0],
        factor=factor,
        lift=lift[_WARM_UP:],
        climb=np.diff(lift, prepend=lift[0])[_WARM_UP:],
        leap=leap[_WARM_UP:],
        rise=rise[_WARM_UP:],
    )


def _eased(target: Numbers, share: float) -> Numbers:
    """A first-order lag behind `target` that starts at rest on it."""
    value, values = float(target[0]), []
    for goal in target:
        value += share * (float(goal) - value)
        values.append(value)
    return np.array(values)


def _leaps(lift: Numbers) -> tuple[Numbers, Numbers]:
    """Height and upward speed of a runner that leaps again and again while lift is held up."""
    height = speed = 0.0
    heights, speeds = [], []
    for asked in lift:
        if height <= 0:
            height, speed = 0.0, LEAP_SPEED * float(np.sqrt(asked)) if asked > 0.1 else 0.0
        if height > 0 or speed > 0:
            gravity = _DIVE_GRAVITY if asked < 0 else GRAVITY
            height = max(0.0, height + speed - gravity / 2)
            speed = speed - gravity if height > 0 else 0.0
        heights.append(height)
        speeds.append(speed)
    return np.array(heights), np.array(speeds)
