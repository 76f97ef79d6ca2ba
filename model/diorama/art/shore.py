"""The city, the ocean, and the rails that carry the train through every place."""

import math
from collections.abc import Callable

import numpy as np

from longtake.model.diorama.art.canvas import PERIOD, Canvas, Colour, mix
from longtake.model.diorama.art.country import WARM, Cover, spots, waves

RAIL = 84.5
"""Height of the rails' upper edge, in units from the top: where every wheel stands."""

_PANE: Colour = (104, 122, 158)


def city_far(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """A pale skyline of towers."""
    for index, x in enumerate(spots(rng, 13, 0.2)):
        top, half = rng.uniform(26, 50), rng.uniform(9, 13)
        tone = mix((150, 164, 200), (172, 160, 196), rng.random())
        land.box(x - half, top, x + half, 96, tone)
        land.box(x - half, top, x + half, top + 1.6, cover(tone, 0.9))
        if index % 4 == 0:
            land.polygon([(x - 3, top), (x, top - 12), (x + 3, top)], cover(tone, 0.5))


def _windows(land: Canvas, glow: Canvas, rng: np.random.Generator, box: tuple[float, float, float, float]) -> None:
    x0, y0, x1, y1 = box
    columns = max(1, int((x1 - x0 - 2) // 8))
    step = (x1 - x0) / columns
    for column in range(columns):
        for row in range(int((y1 - y0) // 9)):
            x, y = x0 + (column + 0.5) * step, y0 + 5 + row * 9
            land.box(x - 2.2, y - 2.4, x + 2.2, y + 2.4, _PANE)
            if rng.random() < 0.62:
                glow.box(x - 2.2, y - 2.4, x + 2.2, y + 2.4, WARM if rng.random() < 0.8 else (255, 236, 180))


def city_middle(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """Houses with big windows."""
    tones: tuple[Colour, ...] = ((206, 128, 108), (146, 126, 156), (222, 176, 128), (122, 140, 168), (178, 112, 124))
    x, index = 2.0, 0
    while x < PERIOD - 14:
        width = min(rng.uniform(20, 29), PERIOD - 2 - x)
        top, tone = rng.uniform(38, 58), tones[index % len(tones)]
        land.box(x, top, x + width, 96, tone)
        roof = cover(mix(tone, (40, 30, 60), 0.35), 0.9)
        if index % 3 == 1:
            land.polygon([(x - 1, top + 1), (x + width / 2, top - 9), (x + width + 1, top + 1)], roof)
        else:
            land.box(x - 1, top - 1.5, x + width + 1, top + 1.5, roof)
        _windows(land, glow, rng, (x, top + 2, x + width, 77))
        x, index = x + width + rng.uniform(0.5, 5), index + 1


def city_near(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """A street with lamps and street trees."""
    for index, x in enumerate(spots(rng, 6, 0.1)):
        if index % 2:
            land.box(x - 0.9, 74 - 6, x + 0.9, 80, (118, 84, 66))
            land.circle(x, 64, 5.5, cover((84, 156, 84), 0.6))
        else:
            land.box(x - 0.9, 54, x + 0.9, 80, (66, 68, 88))
            land.rounded(x - 2.6, 50, x + 2.6, 55.5, 1.6, (236, 228, 204))
            glow.circle(x, 52.8, 3.4, WARM)
    land.box(0, 76, PERIOD, 96, cover((196, 190, 192), 0.75))
    land.box(0, 80, PERIOD, 96, cover((104, 104, 122), 0.5))
    for x in range(10, PERIOD, 40):
        land.box(x, 90, x + 16, 92.4, (246, 236, 206))


def ocean_far(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """The horizon with green islands."""
    for index, x in enumerate(spots(rng, 3, 0.25)):
        half, high = rng.uniform(24, 34), rng.uniform(10, 15)
        tone = cover((104, 168, 128), 0.6)
        land.blob(
            [(x - half, 62), (x - half * 0.4, 60 - high * 0.8), (x + half * 0.2, 60 - high), (x + half, 62)], tone
        )
        if index == 0:
            land.blob([(x - half * 1.6, 62), (x - half, 55), (x - half * 0.4, 62)], mix(tone, (80, 100, 140), 0.3))
    land.box(0, 60, PERIOD, 96, (72, 158, 206))


def _swell(base: float, count: int, phase: float) -> Callable[[float], float]:
    """A row of `count` rounded waves under the line y = base."""
    return lambda x: base - 3.4 * abs(math.sin(math.pi * count * x / PERIOD + phase))


def ocean_middle(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """Open water with a lighthouse on its rock."""
    x = float(rng.uniform(60, 260))
    land.blob([(x - 20, 76), (x - 12, 66), (x + 2, 63), (x + 13, 67), (x + 20, 76)], cover((132, 116, 124), 0.4))
    land.polygon([(x - 5.5, 66), (x - 3.6, 40), (x + 3.6, 40), (x + 5.5, 66)], (252, 246, 238))
    land.polygon([(x - 4.9, 58), (x - 4.3, 50), (x + 4.3, 50), (x + 4.9, 58)], (220, 70, 60))
    land.box(x - 3.4, 33.5, x + 3.4, 40, (248, 226, 150))
    land.polygon([(x - 5, 34), (x, 28), (x + 5, 34)], cover((206, 62, 54), 0.6))
    glow.circle(x, 37, 4, (255, 234, 150))
    land.ridge(waves(rng, 69, (0.9, 9)), (44, 132, 192))
    land.ridge(waves(rng, 73.5, (0.9, 7)), (36, 118, 182))


def ocean_near(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """Rounded waves with crests of foam, three rows deep."""
    rows = ((79.0, 9, (30, 104, 172)), (87.0, 8, (24, 92, 160)), (95.0, 7, (18, 80, 146)))
    for base, count, tone in rows:
        phase = rng.uniform(0, math.pi)
        land.ridge(_swell(base, count, phase), (186, 222, 240))
        land.ridge(_swell(base + 2.1, count, phase), tone)


def rails(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """A line of rail on its sleepers, over land."""
    for x in range(0, PERIOD, 16):
        land.rounded(x + 3, RAIL + 1, x + 12, RAIL + 4, 1, cover((122, 90, 72), 0.3))
    land.box(0, RAIL, PERIOD, RAIL + 1.8, (206, 210, 222))


def bridge(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """A line of rail on a wooden bridge, over water."""
    for x in range(0, PERIOD, 40):
        land.box(x + 17, RAIL + 3, x + 23, 96, (128, 92, 70))
    land.box(0, RAIL + 1, PERIOD, RAIL + 5, cover((164, 120, 88), 0.5))
    land.box(0, RAIL, PERIOD, RAIL + 1.8, (206, 210, 222))
