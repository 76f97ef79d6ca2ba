"""Every actor in every colour as a sprite, at any step of its movement and any sub-pixel position."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

import numpy as np

from longtake.model.diorama.art import flyers, walkers
from longtake.model.diorama.art.canvas import SUB, Bytes, Canvas, Floats, premultiplied, reduce
from longtake.model.diorama.art.palette import PAINTS, Paint

SPRITE_WIDTH: Final = 88
SPRITE_HEIGHT: Final = 76
"""Size of every sprite in units, with room for the rim and a step of sub-pixel movement."""
STEPS: Final = 16
"""Drawings in one cycle of an actor's movement."""
_RIM = 0.75


@dataclass(frozen=True, kw_only=True)
class Actor:
    """How an actor is drawn and how it moves. Lengths in units, cycles a second at normal speed."""

    draw: Callable[[Canvas, Paint, float, bool], None]
    y: float
    """Height of the sprite's middle in the frame."""
    bob: float
    """How far it rises and falls."""
    cycle: float
    """Cycles of movement a second."""
    grounded: bool
    """Whether its movement quickens with the ground."""


ACTORS: Final[dict[str, Actor]] = {
    "balloon": Actor(draw=flyers.balloon, y=38, bob=3.0, cycle=0.35, grounded=False),
    "bird": Actor(draw=flyers.bird, y=35, bob=2.5, cycle=1.5, grounded=False),
    "plane": Actor(draw=flyers.plane, y=35, bob=3.0, cycle=0.6, grounded=False),
    "train": Actor(draw=walkers.train, y=64.5, bob=0.0, cycle=0.9, grounded=True),
    "boat": Actor(draw=walkers.boat, y=60, bob=1.0, cycle=0.6, grounded=True),
    "fox": Actor(draw=walkers.fox, y=67, bob=0.0, cycle=1.6, grounded=True),
}


@cache
def _fine(actor: str, colour: str, step: int, sea: bool, scale: int) -> Bytes:
    """One drawing in fine pixels, premultiplied: `[H, W, 4] uint8`."""
    canvas = Canvas(SPRITE_WIDTH, SPRITE_HEIGHT, scale)
    canvas.pose = (SPRITE_WIDTH / 2, SPRITE_HEIGHT / 2, 0.0)
    paint = PAINTS[colour]
    ACTORS[actor].draw(canvas, paint, step / STEPS, sea)
    canvas.rim(_RIM, paint.rim)
    return premultiplied(canvas.image).round().astype(np.uint8)


@lru_cache(maxsize=6000)
def sprite(actor: str, colour: str, step: int, sea: bool, phase: tuple[int, int], scale: int) -> Bytes:
    """A sprite moved right and down by `phase` sub-pixels: `[4, H, W] uint8`, premultiplied."""
    right, down = phase
    fine = np.roll(_fine(actor, colour, step, sea, scale), (down, right), (0, 1))
    return np.ascontiguousarray(reduce(fine.astype(np.float32)).round().astype(np.uint8).transpose(2, 0, 1))


def placed(left: float) -> tuple[int, int]:
    """A position in pixels as whole pixels and sub-pixels."""
    whole, phase = divmod(round(left * SUB), SUB)
    return whole, phase


def extent(picture: Bytes | Floats) -> tuple[int, int, int, int]:
    """The box (x0, y0, x1, y1) of a sprite's visible part, in its own pixels."""
    seen = picture[3] > 64
    columns, rows = np.flatnonzero(seen.any(0)), np.flatnonzero(seen.any(1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1
