"""The meadow: rolling hills, round trees, a windmill, and a sandy path among flowers."""

import math

import numpy as np

from longtake.model.diorama.art.canvas import PERIOD, Canvas, Colour, mix
from longtake.model.diorama.art.things import Cover, band, bush, hill, house, round_tree, slabs, spots, waves, window

_PETALS: tuple[Colour, ...] = ((255, 255, 255), (255, 196, 60), (250, 104, 140), (176, 120, 240))


def far(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """Great soft hills with fields and woods on them."""
    back = waves(rng, 48, (7, 3), (2, 5))
    for index, x in enumerate(spots(rng, 7, 0.2)):
        if index % 2:
            for dx in (-7, 0, 7):
                land.circle(x + dx, back(x + dx), 5.5, cover((88, 158, 122), 0.5))
    hill(land, back, cover((126, 190, 142), 0.6))
    hill(land, waves(rng, 58, (6, 4), (2, 7)), cover((150, 204, 118), 0.65))


def _windmill(land: Canvas, glow: Canvas, x: float, foot: float, cover: Cover) -> None:
    land.polygon([(x - 7, foot), (x - 4.6, foot - 22), (x + 4.6, foot - 22), (x + 7, foot)], (250, 240, 220))
    land.polygon([(x - 7, foot), (x - 4.6, foot - 22), (x - 2, foot - 22), (x - 3, foot)], (216, 200, 196))
    land.blob([(x - 6, foot - 21), (x, foot - 30), (x + 6, foot - 21), (x, foot - 20.5)], cover((198, 78, 64), 0.85))
    for turn in range(4):
        angle = math.pi * (0.2 + turn / 2)
        dx, dy = math.cos(angle), math.sin(angle)
        land.stroke((x, foot - 23), (x + 15 * dx, foot - 23 + 15 * dy), 1.4, (140, 96, 70))
        land.polygon(
            [
                (x + 4 * dx, foot - 23 + 4 * dy),
                (x + 15 * dx, foot - 23 + 15 * dy),
                (x + 15 * dx - 4 * dy, foot - 23 + 15 * dy + 4 * dx),
                (x + 4 * dx - 4 * dy, foot - 23 + 4 * dy + 4 * dx),
            ],
            (255, 250, 236),
        )
    window(land, glow, (x - 1.8, foot - 12, x + 1.8, foot - 7))


def middle(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """Pasture with round trees, cottages and a windmill."""
    line = waves(rng, 69, (2.6, 3), (1.2, 5))
    for index, x in enumerate(spots(rng, 9, 0.25)):
        if index == 1:
            _windmill(land, glow, x, line(x) + 2, cover)
        elif index in (4, 7):
            house(land, glow, x, line(x) + 2, 7.5, ((214, 84, 62), (86, 116, 176))[index % 2], cover)
        else:
            tone: Colour = ((66, 146, 74), (98, 168, 62))[index % 2]
            round_tree(land, x, line(x) + 2, rng.uniform(9, 13), tone, cover)
    hill(land, line, cover((118, 190, 80), 0.72))


def _flower(land: Canvas, x: float, y: float, petal: Colour) -> None:
    for turn in range(5):
        angle = turn * 2 * math.pi / 5 - math.pi / 2
        land.circle(x + 3.4 * math.cos(angle), y + 3.4 * math.sin(angle), 2.7, petal)
    land.circle(x, y, 2.4, (255, 216, 74) if petal[0] != 255 or petal[2] > 100 else (196, 96, 40))


def near(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """Bright grass, a fence, a sandy path with flat stones, and big flowers."""
    grass = waves(rng, 77, (1.2, 4))
    fence = float(rng.uniform(0, PERIOD))
    for x in np.arange(fence, fence + 90, 15):
        land.box(x - 1.3, grass(x) - 9, x + 1.3, grass(x) + 2, cover((236, 214, 176), 0.4))
    for dy in (7, 3.5):
        land.box(fence - 4, grass(fence) - dy - 0.9, fence + 79, grass(fence) - dy + 0.9, cover((250, 232, 196), 0.5))
    for index, x in enumerate(spots(rng, 5, 0.2)):
        bush(land, x, grass(x) + 2, (6.0, 4.5)[index % 2], (74, 160, 66), cover)
    hill(land, grass, cover((104, 194, 66), 0.82))
    band(land, waves(rng, 83.5, (0.8, 3)), 8, cover((236, 196, 128), 0.7), cover((70, 156, 52), 0.78))
    slabs(land, rng, 87.5, cover((255, 246, 222), 0.4), mix(cover((196, 148, 96), 0.3), (60, 40, 60), 0.2))
    for index, x in enumerate(spots(rng, 8, 0.2)):
        _flower(land, x, 93.5, _PETALS[index % 4])
