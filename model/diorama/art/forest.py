"""The forest: firs behind firs, toadstools, and fireflies at night."""

import numpy as np

from longtake.model.diorama.art.canvas import Canvas, Colour
from longtake.model.diorama.art.things import Cover, bush, hill, pine, slabs, spots, waves

_FIREFLY: Colour = (230, 255, 130)


def far(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """A misty wall of firs that leaves little of the sky."""
    for x in spots(rng, 13, 0.2):
        pine(land, x, 74, rng.uniform(40, 52), (98, 160, 150), cover)
    land.ridge(waves(rng, 56, (3, 4)), cover((98, 160, 150), 0.5))


def middle(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """Tall firs."""
    for index, x in enumerate(spots(rng, 9, 0.25)):
        tone: Colour = ((30, 116, 96), (44, 134, 88), (24, 102, 100))[index % 3]
        pine(land, x, 79, rng.uniform(46, 62), tone, cover)
    hill(land, waves(rng, 75, (1.6, 5)), cover((42, 112, 74), 0.6))


def _toadstool(land: Canvas, x: float, y: float, size: float, cover: Cover) -> None:
    land.rounded(x - size * 0.32, y - size * 0.7, x + size * 0.32, y + size * 0.5, 0.8, (252, 240, 218))
    cap: Colour = cover((226, 58, 46), 0.3)
    land.blob([(x - size, y - size * 0.5), (x, y - size * 1.7), (x + size, y - size * 0.5), (x, y - size * 0.3)], cap)
    for dx, dy in ((-0.45, 0.8), (0.1, 1.2), (0.5, 0.75)):
        land.circle(x + dx * size, y - dy * size, size * 0.19, (255, 248, 236))


def near(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """Great dark firs, moss, a path of logs, and toadstools; fireflies at night."""
    floor = waves(rng, 79, (1.2, 4))
    for index, x in enumerate(spots(rng, 4, 0.25)):
        pine(land, x, floor(x) + 3, (70, 62, 54, 66)[index], (24, 92, 80), cover)
        glow.circle(x + 26, rng.uniform(46, 60), 1.7, _FIREFLY)
        glow.circle(x + 44, rng.uniform(62, 74), 1.7, _FIREFLY)
    hill(land, floor, cover((88, 148, 70), 0.75))
    land.ridge(waves(rng, 83.5, (0.8, 3)), cover((120, 88, 64), 0.6))
    slabs(land, rng, 87, cover((222, 184, 132), 0.45), (84, 58, 46))
    land.ridge(waves(rng, 91, (0.8, 3)), cover((52, 108, 56), 0.62))
    for index, x in enumerate(spots(rng, 8, 0.2)):
        if index % 2:
            _toadstool(land, x, 95, (6.6, 5.4)[index % 4 == 1], cover)
        else:
            bush(land, x, 96, 5.5, (108, 176, 72), cover)
