"""The city: towers, coloured houses, and a street with lamps."""

from itertools import pairwise

import numpy as np

from longtake.model.diorama.art.canvas import PERIOD, Canvas, Colour, mix
from longtake.model.diorama.art.things import WARM, Cover, spots, window

_HOUSES: tuple[Colour, ...] = (
    (226, 112, 92),
    (122, 136, 190),
    (244, 190, 112),
    (112, 168, 168),
    (206, 128, 160),
    (238, 222, 190),
)
_KERB, _ROAD = 78, 82


def _tower(land: Canvas, glow: Canvas, rng: np.random.Generator, box: tuple[float, float, float], cover: Cover) -> None:
    x, top, half = box
    tone = mix((132, 148, 200), (176, 154, 204), rng.random())
    land.box(x - half, top, x + half, 102, tone)
    land.box(x - half, top, x - half * 0.4, 102, mix(tone, (60, 60, 120), 0.25))
    land.box(x - half, top, x + half, top + 2, cover(mix(tone, (255, 255, 255), 0.3), 0.9))
    for y in np.arange(top + 7, 66, 9):
        for dx in (-0.1, 0.55):
            lit = rng.random() < 0.5
            middle = x + dx * half
            window(land, glow, (middle - 1.9, y - 2, middle + 1.9, y + 2), (255, 220, 150) if lit else None)


def far(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """A skyline of towers with lit windows."""
    for index, x in enumerate(spots(rng, 12, 0.15)):
        top, half = (22, 38, 30, 46)[index % 4] + rng.uniform(-3, 3), rng.uniform(9, 11.5)
        if index % 4 == 0:
            land.polygon([(x - 4, top), (x, top - 13), (x + 4, top)], cover((132, 148, 200), 0.5))
        if index % 4 == 2:
            land.circle(x, top + 1, half * 0.8, cover((150, 150, 200), 0.6))
        _tower(land, glow, rng, (x, top, half), cover)


def _front(land: Canvas, glow: Canvas, rng: np.random.Generator, box: tuple[float, float, float], tone: Colour) -> None:
    """The windows of a house that spans x0..x1 and begins at `top`."""
    x0, x1, top = box
    columns = max(2, int((x1 - x0 - 2) // 9))
    step = (x1 - x0) / columns
    for column in range(columns):
        for row in range(int((74 - top) // 11)):
            x, y = x0 + (column + 0.5) * step, top + 7 + row * 11
            land.box(x - 3.1, y - 3.3, x + 3.1, y + 3.8, mix(tone, (255, 255, 255), 0.45))
            window(land, glow, (x - 2.4, y - 2.6, x + 2.4, y + 2.8), WARM if rng.random() < 0.6 else None)


def middle(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """A row of coloured houses with big windows."""
    edges = np.linspace(0, PERIOD, 12)
    for index, (x0, end) in enumerate(pairwise(edges)):
        x1, top, tone = end - 1.5, rng.uniform(40, 58), _HOUSES[index % len(_HOUSES)]
        roof = cover(mix(tone, (60, 30, 70), 0.45), 0.92)
        if index % 3 == 1:
            land.polygon([(x0 - 1, top + 1), ((x0 + x1) / 2, top - 12), (x1 + 1, top + 1)], roof)
        land.box(x0, top, x1, 102, tone)
        land.box(x0, top, x0 + 4, 102, mix(tone, (60, 40, 100), 0.22))
        if index % 3 != 1:
            land.box(x0 - 1, top - 2, x1 + 1, top + 2, roof)
        _front(land, glow, rng, (x0 + 1, x1, top), tone)


def _lamp(land: Canvas, glow: Canvas, x: float) -> None:
    land.box(x - 1.1, 50, x + 1.1, _KERB + 2, (52, 54, 78))
    land.box(x - 2.4, _KERB - 2, x + 2.4, _KERB + 2, (52, 54, 78))
    land.circle(x, 48.5, 4, (255, 244, 214))
    glow.circle(x, 48.5, 4, WARM)


def near(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """A pavement with lamps and round trees, and a road with white marks."""
    for index, x in enumerate(spots(rng, 6, 0.08)):
        if index % 2:
            land.box(x - 1.2, 66, x + 1.2, _KERB + 2, (126, 86, 66))
            land.circle(x, 62, 8, (66, 140, 90))
            land.circle(x + 1.2, 60.5, 5.6, cover((104, 178, 96), 0.8))
        else:
            _lamp(land, glow, x)
    land.box(0, _KERB, PERIOD, 102, cover((214, 206, 204), 0.75))
    land.box(0, _KERB + 2.4, PERIOD, 102, cover((176, 168, 178), 0.7))
    land.box(0, _ROAD, PERIOD, 102, cover((96, 96, 122), 0.5))
    for x in range(10, PERIOD, 40):
        land.box(x, 90, x + 20, 93, (252, 242, 210))
