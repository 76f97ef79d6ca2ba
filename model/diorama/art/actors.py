"""Every actor in every colour as a sprite, at any step of its movement and in any pose."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from PIL import Image

from longtake.model.diorama.art import flyers, walkers
from longtake.model.diorama.art.canvas import Canvas, Floats
from longtake.model.diorama.art.palette import PAINTS, Paint
from longtake.model.diorama.art.stance import LEVELS, Stance
from longtake.model.diorama.labels import FPS

SPRITE_WIDTH: Final = 96
SPRITE_HEIGHT: Final = 84
"""Size of every sprite in units, with room for its rim and for leaning."""
_RIM = 0.8
_SEEN = 64
"""Opacity, of 255, from which on a pixel belongs to the actor."""


@dataclass(frozen=True, kw_only=True)
class Actor:
    """How an actor is drawn and how it moves. Lengths in units, angles in radians, cycles a second at normal speed."""

    draw: Callable[[Canvas, Paint, Stance], None]
    y: float
    """Height of the sprite's middle in the frame."""
    bob: float = 0.0
    """How far it rises and falls."""
    rock: float = 0.0
    """How far it rocks."""
    steps: int = 20
    """Drawings in one cycle of its movement."""
    cycle: float = 0.0
    """Cycles of movement a second, best a whole number of drawings a frame, so that it moves evenly."""
    grounded: bool = False
    """Whether it stands on the ground: its movement follows the ground's, and it goes with the camera."""
    climb: tuple[float, float] = (0.0, 0.0)
    """How far it comes down at lift -1 and up at lift 1."""
    pitch: float = 0.0
    """How far it noses up while it climbs at full rate."""
    lean: float = 0.0
    """How far it noses up for as long as lift is 1."""
    squash: float = 0.0
    """How much lower it crouches at lift -1, of its height."""
    leaps: bool = False
    """Whether it leaps from the ground rather than flies."""
    foot: float = 0.0
    """The height in the sprite, from its middle, about which it leans and crouches."""
    strides: bool = False
    """Whether its drawing depends on how fast it moves."""
    effort: bool = False
    """Whether its drawing depends on lift."""


_TEN_FRAMES, _TWENTY_FRAMES = FPS / 10, FPS / 20
"""Cycles a second of movements that take ten and twenty frames."""

ACTORS: Final[dict[str, Actor]] = {
    "balloon": Actor(draw=flyers.balloon, y=39, bob=2.5, rock=0.06, climb=(17, 9), pitch=0.06, effort=True),
    "bird": Actor(draw=flyers.bird, y=37, bob=2.0, cycle=_TEN_FRAMES, climb=(19, 15), pitch=0.34, lean=0.16),
    "plane": Actor(
        draw=flyers.plane, y=37, bob=2.5, rock=0.03, cycle=_TEN_FRAMES, climb=(19, 15), pitch=0.34, lean=0.16
    ),
    "train": Actor(
        draw=walkers.train,
        y=64.5,
        steps=40,
        cycle=_TWENTY_FRAMES,
        grounded=True,
        lean=0.08,
        squash=0.17,
        foot=20,
        effort=True,
    ),
    "boat": Actor(
        draw=walkers.boat,
        y=63,
        bob=1.0,
        rock=0.05,
        cycle=_TWENTY_FRAMES,
        grounded=True,
        climb=(6, 8),
        lean=0.22,
        pitch=0.1,
        foot=16,
    ),
    "fox": Actor(
        draw=walkers.fox, y=67, cycle=_TEN_FRAMES, grounded=True, squash=0.34, leaps=True, foot=19, strides=True
    ),
}


@lru_cache(maxsize=1500)
def _drawing(actor: str, colour: str, stance: Stance, density: int) -> tuple[Image.Image, int, int]:
    """One drawing with `density` samples a unit, premultiplied and cropped, and the left and top it was cropped at."""
    scale = density // 2
    canvas = Canvas(SPRITE_WIDTH, SPRITE_HEIGHT, scale)
    canvas.pose = (SPRITE_WIDTH / 2, SPRITE_HEIGHT / 2, 0.0)
    paint = PAINTS[colour]
    ACTORS[actor].draw(canvas, paint, stance)
    canvas.rim(_RIM, paint.rim)
    whole = canvas.image.convert("RGBa").reduce(canvas.fine // density)
    left, top, right, bottom = whole.getchannel("a").getbbox() or (2, 2, 3, 3)
    return whole.crop((left - 2, top - 2, right + 2, bottom + 2)), left - 2, top - 2


def stance(actor: str, cycle: float, sea: bool, pace: float, lift: float) -> Stance:
    """The drawing an actor shows: step of its cycle, and stride and effort as far as they change its looks."""
    art = ACTORS[actor]
    return Stance(
        step=math.floor(cycle * art.steps) % art.steps if art.cycle else 0,
        steps=art.steps,
        sea=sea,
        stride=round(min(1.0, abs(pace)) * LEVELS) if art.strides else LEVELS,
        effort=round(min(1.0, max(0.0, lift)) * LEVELS) if art.effort else 0,
    )


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Where a sprite's middle lies in the frame, in units, how far it noses up, in radians, and its height."""

    x: float
    y: float
    angle: float = 0.0
    height: float = 1.0
    """A factor; below 1 it crouches, and gets longer by as much as it gets lower."""
    foot: float = 0.0
    """The height in the sprite, from its middle, about which it leans and crouches."""


def sprite(actor: str, colour: str, looks: Stance, pose: Pose, scale: int) -> tuple[int, int, Floats]:
    """A posed sprite: left and top in pixels of the frame, and `[4, h, w]` float32 0..255, premultiplied.

    It is sampled at two or more samples a unit, then averaged down, so a picture of twice the scale shows the same.
    """
    density = scale if scale > 1 else 2
    source, crop_x, crop_y = _drawing(actor, colour, looks, 2 * density)
    left, top = math.floor(pose.x - SPRITE_WIDTH / 2), math.floor(pose.y - SPRITE_HEIGHT / 2)
    size = (SPRITE_WIDTH * density, SPRITE_HEIGHT * density)
    a, b, c, d, e, f = _inverse(pose, left, top, density)
    moved = (a, b, c - crop_x, d, e, f - crop_y)
    turned = source.transform(size, Image.Transform.AFFINE, moved, Image.Resampling.BILINEAR)
    if density != scale:
        turned = turned.reduce(density // scale)
    return left * scale, top * scale, np.asarray(turned, np.float32).transpose(2, 0, 1)


def _inverse(pose: Pose, left: int, top: int, density: int) -> tuple[float, float, float, float, float, float]:
    """The affine map from samples of the result to samples of the drawing, which has twice as many a unit."""
    c, s = math.cos(pose.angle), math.sin(pose.angle)
    pivot_x, pivot_y = SPRITE_WIDTH / 2, SPRITE_HEIGHT / 2 + pose.foot
    shift_x, shift_y = left - (pose.x - SPRITE_WIDTH / 2) - pivot_x, top - (pose.y - SPRITE_HEIGHT / 2) - pivot_y
    wide, high = 1 / (2 - pose.height) ** 0.5, 1 / pose.height
    # A point of the result, measured from the pivot, is turned back (y runs down, so nose up is turned forward) and
    # stretched back.
    rows = ((c * wide, -s * wide, pivot_x), (s * high, c * high, pivot_y))
    parts = []
    for along, across, pivot in rows:
        constant = along * shift_x + across * shift_y + pivot
        parts += [2 * along, 2 * across, 2 * density * constant]
    return parts[0], parts[1], parts[2], parts[3], parts[4], parts[5]


def extent(picture: Floats) -> tuple[int, int, int, int]:
    """The box (x0, y0, x1, y1) of a sprite's visible part, in its own pixels."""
    seen = picture[3] > _SEEN
    columns, rows = np.flatnonzero(seen.any(0)), np.flatnonzero(seen.any(1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
