"""The places without streets: meadow, forest, desert and mountains, three layers each."""

import math
from collections.abc import Callable

import numpy as np

from longtake.model.diorama.art.canvas import PERIOD, Canvas, Colour, mix
from longtake.model.diorama.art.palette import SNOW

Cover = Callable[[Colour, float], Colour]
"""What the weather does to a colour: leaves it alone, or covers it with snow by an amount in 0..1."""

WARM: Colour = (255, 206, 110)
"""The light of a lamp or a window."""


def bare(colour: Colour, _amount: float) -> Colour:
    """No snow."""
    return colour


def snowed(colour: Colour, amount: float) -> Colour:
    """Snow lying on a colour."""
    return mix(colour, SNOW, min(1.0, 1.15 * amount))


def waves(rng: np.random.Generator, base: float, *parts: tuple[float, int]) -> Callable[[float], float]:
    """A line that tiles: `base` plus one sine for each (height, number of waves a period)."""
    phased = [(height, count, rng.uniform(0, 2 * math.pi)) for height, count in parts]
    return lambda x: base + sum(h * math.sin(2 * math.pi * n * x / PERIOD + phase) for h, n, phase in phased)


def spots(rng: np.random.Generator, count: int, jitter: float = 0.3) -> list[float]:
    """`count` places along a period, evenly but not too evenly apart."""
    step = PERIOD / count
    return [(index + 0.5 + rng.uniform(-jitter, jitter)) * step for index in range(count)]


def pine(land: Canvas, x: float, foot: float, height: float, colour: Colour, cover: Cover) -> None:
    """A fir of three skirts."""
    width = height * 0.30
    land.box(x - 1.2, foot - height * 0.2, x + 1.2, foot, (96, 66, 52))
    for step in range(3):
        bottom = foot - height * (0.10 + 0.25 * step)
        reach = width * (1 - 0.22 * step)
        tip = bottom - height * 0.46
        land.polygon([(x - reach, bottom), (x, tip), (x + reach, bottom)], mix(colour, (255, 255, 255), 0.05 * step))
        white = cover(colour, 0.85)
        if white != colour:
            half = tip + (bottom - tip) * 0.55
            land.polygon([(x - reach * 0.55, half), (x, tip), (x + reach * 0.55, half)], white)


def round_tree(land: Canvas, x: float, foot: float, size: float, colour: Colour, cover: Cover) -> None:
    """A tree like a lollipop with a lit side."""
    land.box(x - size * 0.13, foot - size * 0.9, x + size * 0.13, foot, (128, 88, 62))
    land.circle(x, foot - size * 1.25, size * 0.72, colour)
    land.circle(x + size * 0.14, foot - size * 1.42, size * 0.46, cover(mix(colour, (255, 255, 160), 0.22), 0.8))


def house(land: Canvas, glow: Canvas, x: float, foot: float, size: float, roof: Colour, cover: Cover) -> None:
    """A cottage with one lit window."""
    land.box(x - size, foot - size, x + size, foot, (248, 232, 204))
    land.polygon(
        [(x - size * 1.3, foot - size * 0.9), (x, foot - size * 2), (x + size * 1.3, foot - size * 0.9)],
        cover(roof, 0.85),
    )
    land.box(x - size * 0.4, foot - size * 0.75, x + size * 0.35, foot - size * 0.15, (112, 130, 160))
    glow.box(x - size * 0.4, foot - size * 0.75, x + size * 0.35, foot - size * 0.15, WARM)


def meadow_far(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """Soft blue-green hills."""
    land.ridge(waves(rng, 52, (5, 2), (3, 5)), cover((128, 188, 150), 0.6))
    land.ridge(waves(rng, 58, (4, 3), (2, 4)), cover((112, 180, 120), 0.65))


def meadow_middle(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """Rolling pasture with trees and a cottage."""
    hill = waves(rng, 67, (3, 2), (1.6, 5))
    for index, x in enumerate(spots(rng, 9)):
        if index in (2, 6):
            house(land, glow, x, hill(x) + 1.5, 6.5, (206, 84, 66), cover)
        else:
            round_tree(land, x, hill(x) + 1.5, rng.uniform(7, 10), ((70, 146, 70), (92, 160, 66))[index % 2], cover)
    land.ridge(hill, cover((122, 186, 84), 0.7))


def meadow_near(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """Bright grass with a few big flowers."""
    land.ridge(waves(rng, 76, (1.6, 4)), cover((104, 190, 66), 0.8))
    land.ridge(waves(rng, 89, (1.5, 3)), cover((84, 168, 56), 0.75))
    for index, x in enumerate(spots(rng, 11)):
        y = rng.uniform(81, 92)
        petal = ((255, 255, 255), (255, 190, 60), (246, 110, 140))[index % 3]
        for turn in range(5):
            angle = turn * 2 * math.pi / 5
            land.circle(x + 1.9 * math.cos(angle), y + 1.7 * math.sin(angle), 1.4, petal)
        land.circle(x, y, 1.3, (255, 220, 90) if index % 3 != 1 else (190, 96, 40))


def forest_far(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """A misty wall of firs."""
    for x in spots(rng, 16, 0.2):
        pine(land, x, 72, rng.uniform(34, 46), (92, 148, 140), cover)
    land.ridge(waves(rng, 64, (2, 4)), cover((92, 148, 140), 0.5))


def forest_middle(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """Tall firs."""
    for index, x in enumerate(spots(rng, 11, 0.25)):
        pine(land, x, 78, rng.uniform(44, 60), ((34, 104, 78), (48, 118, 74))[index % 2], cover)
    land.ridge(waves(rng, 74, (1.2, 5)), cover((50, 106, 66), 0.6))


def forest_near(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """Moss, bushes, toadstools and, at night, fireflies."""
    floor = waves(rng, 78, (1.4, 4))
    for index, x in enumerate(spots(rng, 8)):
        if index % 2:
            land.ellipse(x, floor(x) + 1, 9, 5.5, cover((62, 126, 58), 0.7))
    land.ridge(floor, cover((78, 118, 54), 0.75))
    land.ridge(waves(rng, 90, (1.4, 3)), cover((60, 94, 48), 0.7))
    for index, x in enumerate(spots(rng, 7)):
        y = rng.uniform(84, 92)
        if index % 2:
            land.box(x - 1.1, y - 3, x + 1.1, y + 2, (250, 238, 214))
            land.blob([(x - 4, y - 2.2), (x, y - 7), (x + 4, y - 2.2), (x, y - 1.6)], cover((214, 62, 48), 0.3))
        glow.circle(x + 14, rng.uniform(66, 82), 1.5, (236, 255, 130))


def desert_far(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """Flat-topped mesas."""
    for x in spots(rng, 5, 0.22):
        top, half = rng.uniform(36, 46), rng.uniform(16, 24)
        land.polygon(
            [(x - half - 7, 72), (x - half, top), (x + half, top), (x + half + 7, 72)], cover((214, 128, 88), 0.3)
        )
        land.polygon([(x + half * 0.2, top), (x + half, top), (x + half + 7, 72), (x + half * 0.4, 72)], (190, 104, 78))
        land.box(x - half, top - 0.5, x + half, top + 2.5, cover((232, 152, 104), 0.85))
    land.ridge(waves(rng, 62, (2, 3)), cover((232, 166, 108), 0.6))


def cactus(land: Canvas, x: float, foot: float, size: float, cover: Cover) -> None:
    """A cactus with two arms."""
    green = cover((62, 140, 84), 0.25)
    land.stroke((x, foot), (x, foot - size * 2.3), size * 0.62, green)
    land.stroke((x, foot - size * 0.9), (x + size, foot - size * 1.0), size * 0.42, green)
    land.stroke((x + size, foot - size * 1.0), (x + size, foot - size * 1.9), size * 0.42, green)
    land.stroke((x, foot - size * 0.6), (x - size, foot - size * 0.7), size * 0.42, green)
    land.stroke((x - size, foot - size * 0.7), (x - size, foot - size * 1.4), size * 0.42, green)


def desert_middle(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """Dunes with a bright and a shaded side, and cacti."""
    for x in spots(rng, 5, 0.2):
        y, half = rng.uniform(56, 61), rng.uniform(36, 46)
        land.blob(
            [(x - half, 80), (x - half * 0.4, y + 6), (x, y), (x + half * 0.6, y + 9), (x + half, 80)],
            cover((244, 196, 116), 0.7),
        )
        land.blob(
            [(x, y), (x + half * 0.6, y + 9), (x + half, 80), (x + half * 0.2, 80), (x + 5, y + 9)],
            cover((222, 160, 92), 0.55),
        )
    land.ridge(waves(rng, 72, (1, 4)), cover((240, 188, 108), 0.7))
    for x in spots(rng, 4, 0.3):
        cactus(land, x, 76, rng.uniform(6, 8), cover)


def desert_near(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """Pale sand, ripples and stones."""
    land.ridge(waves(rng, 76, (2, 3), (0.8, 7)), cover((250, 214, 138), 0.75))
    land.ridge(waves(rng, 88, (2, 2), (0.8, 5)), cover((240, 194, 114), 0.7))
    for index, x in enumerate(spots(rng, 6)):
        y = rng.uniform(82, 92)
        if index % 2:
            land.blob([(x - 5, y + 2), (x - 3, y - 2.5), (x + 2, y - 3), (x + 5, y + 2)], cover((196, 134, 92), 0.5))
        else:
            land.stroke((x - 7, y), (x + 7, y), 1.8, cover((226, 176, 100), 0.5))


def mountains_far(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """Great peaks with caps of snow."""
    for x in spots(rng, 5, 0.2):
        top, half = rng.uniform(14, 26), rng.uniform(44, 54)
        slope = (78 - top) / half
        land.polygon([(x - half, 78), (x, top), (x + half, 78)], cover((118, 132, 176), 0.3))
        land.polygon([(x, top), (x + half, 78), (x + half * 0.25, 78), (x + 4, top + 24)], cover((92, 104, 152), 0.25))
        low = 15
        cap = [(x, top), (x + low / slope, top + low), (x + 5, top + low - 4), (x + 1, top + low + 2)]
        land.polygon([*cap, (x - 4, top + low - 4), (x - low / slope, top + low)], (250, 252, 255))


def mountains_middle(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """Dark slopes with firs and a chalet."""
    slope = waves(rng, 65, (5, 3), (3, 5))
    for index, x in enumerate(spots(rng, 10)):
        if index in (3, 8):
            house(land, glow, x, slope(x) + 3, 6, (150, 84, 60), cover)
        else:
            pine(land, x, slope(x) + 3, rng.uniform(19, 26), (44, 104, 92), cover)
    land.ridge(slope, cover((84, 122, 116), 0.6))


def mountains_near(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """An alpine path with boulders."""
    land.ridge(waves(rng, 77, (1.8, 3), (0.8, 8)), cover((142, 168, 122), 0.8))
    land.ridge(waves(rng, 89, (1.5, 4)), cover((116, 142, 108), 0.75))
    for x in spots(rng, 6):
        y, size = rng.uniform(82, 92), rng.uniform(4, 7)
        land.blob(
            [(x - size, y + 2), (x - size * 0.6, y - size * 0.6), (x + size * 0.3, y - size * 0.7), (x + size, y + 2)],
            cover((138, 142, 160), 0.4),
        )
        land.blob(
            [(x - size * 0.6, y - size * 0.2), (x - size * 0.4, y - size * 0.6), (x + size * 0.3, y - size * 0.6)],
            cover((176, 180, 194), 0.8),
        )
