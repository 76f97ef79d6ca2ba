"""The desert: mesas and pyramids, dunes, cacti, and a tent that glows at night."""

import numpy as np

from longtake.model.diorama.art.canvas import Canvas, Colour, mix
from longtake.model.diorama.art.things import WARM, Cover, band, hill, slabs, spots, waves

_SAND: Colour = (252, 208, 122)


def _mesa(land: Canvas, x: float, top: float, half: float, cover: Cover) -> None:
    foot = 78
    rock: Colour = (222, 120, 84)
    land.polygon([(x - half - 8, foot), (x - half, top), (x + half, top), (x + half + 8, foot)], rock)
    land.polygon([(x - half - 8, foot), (x - half, top), (x - half * 0.35, top), (x - half * 0.5, foot)], (186, 92, 80))
    land.box(x - half, top, x + half, top + 3, cover((244, 164, 112), 0.9))
    for y in (top + 10, top + 19):
        land.box(x - half - 2, y, x + half + 2, y + 2.2, mix(rock, (160, 70, 70), 0.4))


def _pyramid(land: Canvas, x: float, top: float, half: float, cover: Cover) -> None:
    land.polygon([(x - half, 78), (x, top), (x + half, 78)], cover((250, 196, 118), 0.4))
    land.polygon([(x - half, 78), (x, top), (x - half * 0.25, 78)], (206, 140, 96))
    land.polygon([(x - 3.4, top + 4.5), (x, top), (x + 3.4, top + 4.5)], (255, 236, 180))


def far(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """Mesas with flat tops and pyramids between them."""
    for index, x in enumerate(spots(rng, 5, 0.15)):
        if index % 2:
            _pyramid(land, x, rng.uniform(36, 42), rng.uniform(27, 34), cover)
        else:
            _mesa(land, x, rng.uniform(34, 42), rng.uniform(13, 19), cover)
    land.ridge(waves(rng, 66, (2, 3)), cover((240, 168, 104), 0.5))


def cactus(land: Canvas, x: float, foot: float, size: float, cover: Cover) -> None:
    """A saguaro with two arms, lit from the right."""
    green: Colour = (64, 146, 88)
    for dx, tone, width in ((0.0, mix(green, (20, 40, 80), 0.25), 0.52), (0.07, cover(green, 0.25), 0.36)):
        at = x + dx * size
        land.stroke((at, foot), (at, foot - size * 2.4), size * width, tone)
        land.stroke((at, foot - size * 1.0), (at + size, foot - size * 1.0), size * width * 0.8, tone)
        land.stroke((at + size, foot - size * 1.0), (at + size, foot - size * 1.9), size * width * 0.8, tone)
        land.stroke((at, foot - size * 0.7), (at - size, foot - size * 0.7), size * width * 0.8, tone)
        land.stroke((at - size, foot - size * 0.7), (at - size, foot - size * 1.4), size * width * 0.8, tone)


def _tent(land: Canvas, glow: Canvas, x: float, foot: float, cover: Cover) -> None:
    land.polygon([(x - 15, foot), (x, foot - 18), (x + 15, foot)], cover((236, 96, 84), 0.5))
    land.polygon([(x - 9, foot), (x, foot - 18), (x - 3, foot)], (255, 240, 214))
    land.polygon([(x + 6, foot), (x, foot - 18), (x + 11, foot)], (255, 240, 214))
    land.polygon([(x - 3.5, foot), (x, foot - 11), (x + 3.5, foot)], (110, 62, 84))
    glow.polygon([(x - 3.5, foot), (x, foot - 11), (x + 3.5, foot)], WARM)


def middle(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """Dunes with a bright and a shaded side, tall cacti and a tent."""
    for x in spots(rng, 5, 0.2):
        y, half = rng.uniform(55, 60), rng.uniform(34, 44)
        land.blob(
            [(x - half, 82), (x - half * 0.4, y + 6), (x, y), (x + half * 0.6, y + 9), (x + half, 82)],
            cover((255, 206, 122), 0.7),
        )
        land.blob(
            [(x, y), (x - half * 0.4, y + 6), (x - half, 82), (x - half * 0.2, 82), (x - 5, y + 9)],
            cover((224, 148, 92), 0.5),
        )
    for index, x in enumerate(spots(rng, 5, 0.25)):
        if index == 2:
            _tent(land, glow, x, 77, cover)
        else:
            cactus(land, x, 78, rng.uniform(8, 10.5), cover)
    hill(land, waves(rng, 74, (1.4, 4)), cover((246, 190, 108), 0.7), rim=0.4)


def near(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """Pale sand with a ripple, flat red stones and small cacti."""
    sand = waves(rng, 78, (1.6, 3))
    for index, x in enumerate(spots(rng, 5, 0.25)):
        if index % 2:
            cactus(land, x, sand(x) + 3, 6, cover)
        else:
            for dx, size in ((0, 6.5), (8, 4.5)):
                land.circle(x + dx, sand(x) + 1.5, size, (186, 112, 88))
                land.circle(x + dx + 1, sand(x) + 0.2, size * 0.72, cover((224, 152, 112), 0.7))
    hill(land, sand, cover(_SAND, 0.75), rim=0.5)
    band(land, waves(rng, 84.5, (1.2, 3), (0.5, 8)), 2, cover((232, 172, 100), 0.62), cover(_SAND, 0.75))
    slabs(land, rng, 90.5, cover((216, 138, 92), 0.45), (142, 84, 66))
