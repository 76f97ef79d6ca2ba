"""What stands in more than one place: hills, trees and houses, and how snow lies on them."""

import math
from collections.abc import Callable

import numpy as np

from longtake.model.diorama.art.canvas import PERIOD, Canvas, Colour, mix
from longtake.model.diorama.art.palette import SNOW

Cover = Callable[[Colour, float], Colour]
"""What the weather does to a colour: leaves it alone, or covers it with snow by an amount in 0..1."""
Line = Callable[[float], float]
"""Height of a line, in units from the top, at a place along the strip."""

WARM: Colour = (255, 206, 110)
"""The light of a lamp or a window."""
_TRUNK: Colour = (126, 84, 60)
_WALL: Colour = (250, 234, 206)
_LIGHT: Colour = (255, 250, 190)


def bare(colour: Colour, _amount: float) -> Colour:
    """No snow."""
    return colour


def snowed(colour: Colour, amount: float) -> Colour:
    """Snow lying on a colour."""
    return mix(colour, SNOW, min(1.0, 1.15 * amount))


def waves(rng: np.random.Generator, base: float, *parts: tuple[float, int]) -> Line:
    """A line that tiles: `base` plus one sine for each (height, number of waves a period)."""
    phased = [(height, count, rng.uniform(0, 2 * math.pi)) for height, count in parts]
    return lambda x: base + sum(h * math.sin(2 * math.pi * n * x / PERIOD + phase) for h, n, phase in phased)


def spots(rng: np.random.Generator, count: int, jitter: float = 0.3) -> list[float]:
    """`count` places along a period, evenly but not too evenly apart."""
    step = PERIOD / count
    return [(index + 0.5 + rng.uniform(-jitter, jitter)) * step for index in range(count)]


def hill(land: Canvas, line: Line, colour: Colour, rim: float = 0.28) -> None:
    """Ground below a line, with light along its edge."""
    band(land, line, 1.8, mix(colour, _LIGHT, rim), colour)


def band(land: Canvas, line: Line, depth: float, colour: Colour, below: Colour) -> None:
    """A band of colour below a line, `depth` units deep, and other ground under it."""
    land.ridge(line, colour)
    land.ridge(lambda x: line(x) + depth, below)


def slabs(land: Canvas, rng: np.random.Generator, y: float, colour: Colour, edge: Colour) -> None:
    """Long flat stones or logs along the ground, far enough apart to see which way it goes, however fast it runs."""
    for index, x in enumerate(spots(rng, 8, 0.12)):
        half = (11.0, 8.5)[index % 2]
        land.rounded(x - half, y - 1.6, x + half, y + 3.2, 2.2, edge)
        land.rounded(x - half, y - 2.2, x + half, y + 1.4, 1.7, colour)


def pine(land: Canvas, x: float, foot: float, height: float, colour: Colour, cover: Cover) -> None:
    """A fir of three skirts, lit from the right."""
    width = height * 0.29
    land.box(x - height * 0.045, foot - height * 0.2, x + height * 0.045, foot, mix(_TRUNK, colour, 0.3))
    for step in range(3):
        bottom = foot - height * (0.10 + 0.25 * step)
        reach = width * (1 - 0.22 * step)
        tip = bottom - height * 0.44
        tone = mix(colour, _LIGHT, 0.05 * step)
        land.polygon([(x - reach, bottom), (x, tip), (x + reach, bottom)], mix(tone, (10, 20, 60), 0.16))
        land.polygon([(x + reach * 0.1, bottom), (x, tip), (x + reach, bottom)], tone)
        white = cover(colour, 0.85)
        if white != colour:
            half = tip + (bottom - tip) * 0.55
            land.polygon([(x - reach * 0.55, half), (x, tip), (x + reach * 0.55, half)], white)


def round_tree(land: Canvas, x: float, foot: float, size: float, colour: Colour, cover: Cover) -> None:
    """A tree like a lollipop with a lit side."""
    land.box(x - size * 0.14, foot - size * 0.9, x + size * 0.14, foot, _TRUNK)
    land.circle(x, foot - size * 1.3, size * 0.78, mix(colour, (10, 30, 60), 0.18))
    land.circle(x + size * 0.08, foot - size * 1.38, size * 0.66, colour)
    white = cover(colour, 0.9)
    if white == colour:
        land.circle(x + size * 0.2, foot - size * 1.56, size * 0.4, mix(colour, _LIGHT, 0.34))
    else:
        land.blob([(x - size * 0.6, foot - size * 1.62), (x, foot - size * 2.12), (x + size * 0.6, foot - size * 1.62),
                   (x + size * 0.2, foot - size * 1.74)], white)  # fmt: skip


def bush(land: Canvas, x: float, foot: float, size: float, colour: Colour, cover: Cover) -> None:
    """Three round heaps of leaves."""
    for dx, part in ((-0.8, 0.6), (0.8, 0.65), (0.0, 0.9)):
        land.circle(x + dx * size, foot - part * size * 0.4, part * size, mix(colour, (10, 30, 60), 0.14))
        land.circle(x + dx * size + 0.1 * size, foot - part * size * 0.6, part * size * 0.7, cover(colour, 0.85))


def house(land: Canvas, glow: Canvas, x: float, foot: float, size: float, roof: Colour, cover: Cover) -> None:
    """A cottage with a chimney, a door and a lit window."""
    land.box(x + size * 0.5, foot - size * 2, x + size * 0.85, foot - size, mix(roof, (60, 40, 60), 0.4))
    land.box(x - size, foot - size, x + size, foot, _WALL)
    land.box(x - size, foot - size, x - size * 0.7, foot, mix(_WALL, (120, 90, 120), 0.25))
    land.polygon(
        [(x - size * 1.3, foot - size * 0.9), (x, foot - size * 2), (x + size * 1.3, foot - size * 0.9)],
        cover(roof, 0.9),
    )
    land.box(x + size * 0.25, foot - size * 0.75, x + size * 0.75, foot, (142, 92, 64))
    window(land, glow, (x - size * 0.6, foot - size * 0.75, x + size * 0.0, foot - size * 0.2))


def window(land: Canvas, glow: Canvas, box: tuple[float, float, float, float], lamp: Colour | None = WARM) -> None:
    """A pane that shines at night unless it has no lamp."""
    land.box(*box, (108, 128, 164))
    if lamp is not None:
        glow.box(*box, lamp)
