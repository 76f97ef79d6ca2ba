"""The mountains: great peaks with caps of snow, dark firs, a chalet, and a stony path."""

import numpy as np

from longtake.model.diorama.art.canvas import Canvas, Colour, mix
from longtake.model.diorama.art.things import Cover, hill, house, pine, slabs, spots, waves

_CAP: Colour = (252, 253, 255)


def _peak(land: Canvas, x: float, top: float, half: float, rock: Colour) -> None:
    foot = 84
    slope = (foot - top) / half
    land.polygon([(x - half, foot), (x, top), (x + half, foot)], rock)
    land.polygon(
        [(x - half, foot), (x, top), (x - 5, top + 26), (x - half * 0.22, foot)], mix(rock, (50, 50, 110), 0.36)
    )
    low = 19
    cap = [(x, top), (x + low / slope, top + low), (x + 6, top + low - 6), (x + 1, top + low + 3)]
    land.polygon([*cap, (x - 5, top + low - 5), (x - low / slope, top + low)], _CAP)
    land.polygon(
        [(x, top), (x - 2, top + low - 1), (x - 5, top + low - 5), (x - low / slope, top + low)], (196, 208, 238)
    )


def far(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """Great peaks with caps of snow."""
    for index, x in enumerate(spots(rng, 5, 0.18)):
        _peak(land, x, (15, 27, 20, 30, 23)[index] + rng.uniform(-2, 2), rng.uniform(44, 52), (124, 136, 190))


def middle(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """Steep crags with dark firs and a chalet."""
    for x in spots(rng, 4, 0.2):
        top, half = rng.uniform(46, 54), rng.uniform(24, 32)
        land.polygon([(x - half, 84), (x - 4, top), (x + 5, top + 2), (x + half, 84)], (112, 116, 158))
        land.polygon([(x - half, 84), (x - 4, top), (x - half * 0.2, 84)], (84, 86, 134))
        land.polygon([(x - 9, top + 7), (x - 4, top), (x + 5, top + 2), (x + 10, top + 9), (x, top + 5)], _CAP)
    slope = waves(rng, 72, (3, 3), (1.4, 5))
    for index, x in enumerate(spots(rng, 9, 0.25)):
        if index in (2, 6):
            house(land, glow, x, slope(x) + 3, 7.5, (158, 84, 60), cover)
        else:
            pine(land, x, slope(x) + 3, rng.uniform(20, 27), (36, 98, 100), cover)
    hill(land, slope, cover((96, 138, 134), 0.6))


def _boulder(land: Canvas, x: float, foot: float, size: float, cover: Cover) -> None:
    outline = [
        (x - size, foot),
        (x - size * 0.7, foot - size * 0.9),
        (x + size * 0.3, foot - size * 1.2),
        (x + size, foot),
    ]
    land.blob(outline, (108, 110, 140))
    land.blob(
        [(x - size * 0.2, foot - size * 0.2), (x - size * 0.3, foot - size), (x + size * 0.3, foot - size * 1.1),
         (x + size * 0.8, foot - size * 0.2)],
        cover((168, 170, 194), 0.8),
    )  # fmt: skip


def near(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """A stony alpine path with boulders, firs and patches of snow."""
    ground = waves(rng, 78, (1.8, 3), (0.6, 8))
    for index, x in enumerate(spots(rng, 7, 0.25)):
        if index % 3 == 0:
            pine(land, x, ground(x) + 3, rng.uniform(22, 28), (28, 82, 90), cover)
        else:
            _boulder(land, x, ground(x) + 3, (8, 5.5)[index % 2], cover)
    hill(land, ground, cover((150, 164, 166), 0.8))
    land.ridge(waves(rng, 84.5, (0.8, 3)), cover((186, 184, 196), 0.8))
    land.ridge(waves(rng, 90.5, (0.9, 4)), cover((124, 138, 146), 0.75))
    slabs(land, rng, 88, cover((232, 230, 240), 0.3), (96, 98, 120))
    for index, x in enumerate(spots(rng, 8, 0.2)):
        if index % 2:
            land.ellipse(x, 95, 10, 2.8, _CAP)
        else:
            _boulder(land, x, 98, 7, cover)
