"""The ocean: islands on the horizon, a lighthouse, and rows of rounded waves, the last in front of everything."""

import math

import numpy as np

from longtake.model.diorama.art.canvas import PERIOD, Canvas, Colour, mix
from longtake.model.diorama.art.things import Cover, Line, spots

HORIZON = 56
"""Where the water begins, in units from the top."""
_FOAM: Colour = (226, 246, 252)


def far(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """The horizon with green islands and a distant sail."""
    for index, x in enumerate(spots(rng, 4, 0.2)):
        if index == 2:
            land.polygon([(x - 7, HORIZON - 1), (x + 1, HORIZON - 15), (x + 1, HORIZON - 1)], (255, 250, 238))
            land.polygon([(x + 2, HORIZON - 1), (x + 2, HORIZON - 12), (x + 8, HORIZON - 1)], (250, 214, 190))
            land.polygon(
                [(x - 8, HORIZON - 1), (x + 9, HORIZON - 1), (x + 6, HORIZON + 3), (x - 5, HORIZON + 3)], (150, 92, 80)
            )
            continue
        half, high = rng.uniform(24, 32), rng.uniform(12, 17)
        tone: Colour = (96, 168, 128)
        hump = [(x - half, HORIZON + 3), (x - half * 0.4, HORIZON - high * 0.8), (x + half * 0.2, HORIZON - high)]
        land.blob([*hump, (x + half, HORIZON + 3)], mix(tone, (40, 70, 120), 0.25))
        land.blob(
            [(x - half * 0.2, HORIZON + 3), (x - half * 0.1, HORIZON - high * 0.8),
             (x + half * 0.3, HORIZON - high * 0.9), (x + half * 0.95, HORIZON + 2)],
            cover(tone, 0.6),
        )  # fmt: skip
    land.box(0, HORIZON, PERIOD, 102, (92, 186, 220))
    for row, (y, tone) in enumerate(((60.0, (74, 168, 212)), (64.5, (62, 152, 204)))):
        land.ridge(_swell(y, 10 + 2 * row, 2.2, rng.uniform(0, math.pi)), tone)


def _swell(base: float, count: int, height: float, phase: float) -> Line:
    """A row of `count` waves with peaked crests, hollow between, that rise from the line y = base."""
    return lambda x: base - height * (1 - abs(math.sin(math.pi * count * x / PERIOD + phase))) ** 1.3


def _row(land: Canvas, line: Line, foam: float, tone: Colour) -> None:
    """Water under a line of foam."""
    land.ridge(line, _FOAM)
    land.ridge(lambda x: line(x) + foam, mix(tone, (120, 210, 236), 0.35))
    land.ridge(lambda x: line(x) + foam + 2.6, tone)


def _palms(land: Canvas, x: float, foot: float, cover: Cover) -> None:
    land.ellipse(x, foot, 17, 6, cover((246, 214, 142), 0.5))
    for lean, high in ((-5, 18), (4, 23)):
        top = (x + lean * 1.6, foot - high)
        land.stroke((x + lean * 0.4, foot - 3), top, 2, (150, 104, 72))
        for reach, droop in ((-9, 4), (-6, -3), (6, -3), (9, 4)):
            land.stroke(top, (top[0] + reach, top[1] + droop), 3, cover((62, 158, 88), 0.4))


def middle(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """A lighthouse on its rock, an islet with palms, and two rows of swell."""
    x = float(rng.uniform(60, 130))
    land.blob([(x - 21, 78), (x - 13, 67), (x + 2, 63), (x + 14, 68), (x + 21, 78)], (120, 104, 128))
    land.blob([(x - 6, 70), (x - 2, 65), (x + 8, 65), (x + 17, 76), (x + 4, 74)], cover((170, 150, 160), 0.6))
    land.polygon([(x - 6.4, 66), (x - 4.2, 36), (x + 4.2, 36), (x + 6.4, 66)], (255, 250, 240))
    for y0, y1 in ((58, 51), (45, 40)):
        a, b = 4.2 + (y0 - 36) * 0.073, 4.2 + (y1 - 36) * 0.073
        land.polygon([(x - a, y0), (x - b, y1), (x + b, y1), (x + a, y0)], (228, 66, 58))
    land.box(x - 5.4, 35, x + 5.4, 37, (84, 70, 96))
    land.box(x - 3.6, 28.5, x + 3.6, 35, (255, 236, 160))
    land.polygon([(x - 5.2, 29), (x, 22.5), (x + 5.2, 29)], cover((214, 62, 54), 0.6))
    glow.circle(x, 32, 4.4, (255, 234, 150))
    _palms(land, x + 150, 70, cover)
    _row(land, _swell(70.5, 8, 3.4, rng.uniform(0, math.pi)), 1.3, (46, 134, 196))


def near(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """A row of big waves and a buoy."""
    x = float(rng.uniform(0, PERIOD))
    land.polygon([(x - 5, 82), (x - 2, 66), (x + 2, 66), (x + 5, 82)], (240, 96, 60))
    land.box(x - 3.6, 71, x + 3.6, 75, (255, 248, 236))
    land.circle(x, 64.5, 2.6, (255, 240, 180))
    glow.circle(x, 64.5, 2.8, (255, 120, 90))
    _row(land, _swell(80.5, 8, 5.0, rng.uniform(0, math.pi)), 1.8, (32, 112, 180))


def front(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """The wave that hides keels and rafts."""
    _row(land, _swell(91.0, 7, 6.0, rng.uniform(0, math.pi)), 2.0, (22, 90, 160))


def bridge(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """A line of rail on a wooden bridge, over water."""
    for x in range(0, PERIOD, 40):
        land.box(x + 16, 87, x + 24, 102, (128, 88, 70))
        land.box(x + 21, 87, x + 24, 102, (164, 116, 84))
    land.box(0, 85.5, PERIOD, 90, cover((176, 126, 88), 0.5))
    land.box(0, 84.5, PERIOD, 86.3, (214, 218, 230))
