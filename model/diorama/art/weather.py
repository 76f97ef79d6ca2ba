"""Weather: rain, snow and fog banks as tileable veils that drift evenly across the frame.

A veil moves by a fixed step a frame that is small against what is drawn on it, and after a few frames by whole units.
So it never aliases, and a model that sees a second of it knows where it will be next.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from PIL import Image

from longtake.model.diorama.art.canvas import Bytes, Canvas, Colour, Floats, Point, subsamples
from longtake.model.diorama.labels import HEIGHT, WIDTH

RAIN_DRIFT: Final = (-1.0, 3.0)
SNOW_DRIFT: Final = (-0.5, 0.75)
BANK_DRIFT: Final = (-0.75, 0.0)
"""How far veils move in one frame, in units right and down."""

_TILE: Final = 96
"""Width and height of a veil's tile in units."""
_WHITE: Final = (255, 255, 255)


@dataclass(frozen=True, kw_only=True)
class Veil:
    """A tileable opacity at every sub-pixel position: `[down, right, rows, columns] uint8`, padded by one frame."""

    planes: Bytes
    scale: int

    def cut(self, x: float, y: float) -> Floats:
        """The opacity `[H, W]` float32 0..1 of a frame whose corner lies at (x, y) units of the tile."""
        positions, tile = len(self.planes), _TILE * self.scale
        column, right = divmod(round(x * self.scale * positions), positions)
        row, down = divmod(round(y * self.scale * positions), positions)
        row, column = row % tile, column % tile
        part = self.planes[down, right, row : row + HEIGHT * self.scale, column : column + WIDTH * self.scale]
        return np.multiply(part, np.float32(1 / 255))


class _Tile(Canvas):
    """A canvas that tiles in both directions."""

    def __init__(self, scale: int) -> None:
        super().__init__(_TILE, _TILE, scale, wrap=True)

    def polygon(self, points: Iterable[Point], colour: Colour) -> None:
        corners = list(points)
        for shift in (0, -_TILE, _TILE):
            super().polygon([(x, y + shift) for x, y in corners], colour)


def _veil(canvas: Canvas, blur: float) -> Veil:
    scale, positions = canvas.scale, subsamples(canvas.scale)
    whole = canvas.image.convert("RGBa")
    side = whole.width
    wide = Image.new("RGBa", (3 * side, 3 * side))
    for x in range(3):
        for y in range(3):
            wide.paste(whole, (x * side, y * side))
    wide_canvas = Canvas(3 * _TILE, 3 * _TILE, scale)
    wide_canvas.image = wide
    alpha = wide_canvas.blurred(blur).getchannel("a")
    planes = np.stack(
        [
            np.stack([np.asarray(alpha.reduce(positions, _shifted(side, x, y))) for x in range(positions)])
            for y in range(positions)
        ]
    )
    pad = ((0, 0), (0, 0), (0, HEIGHT * scale), (0, WIDTH * scale))
    return Veil(planes=np.pad(planes, pad, mode="wrap"), scale=scale)


def _shifted(side: int, x: int, y: int) -> tuple[int, int, int, int]:
    return side + x, side + y, 2 * side + x, 2 * side + y


def _scattered(rng: np.random.Generator, columns: int, rows: int) -> list[tuple[float, float]]:
    """One point somewhere in each cell of a staggered grid, so that none bunch up."""
    return [
        (
            (column + 0.5 * (row % 2) + rng.uniform(0.15, 0.85)) * _TILE / columns,
            (row + rng.uniform(0.15, 0.85)) * _TILE / rows,
        )
        for column in range(columns)
        for row in range(rows)
    ]


@cache
def rain(scale: int) -> Veil:
    """Thick, sparse strokes that slant the way they fall."""
    canvas = _Tile(scale)
    for x, y in _scattered(np.random.default_rng(600), 5, 4):
        canvas.stroke((x, y), (x - 4, y + 12), 1.9, _WHITE)
    return _veil(canvas, 0.3)


@cache
def snow(scale: int) -> Veil:
    """Big soft flakes."""
    canvas = _Tile(scale)
    rng = np.random.default_rng(619)
    for index, (x, y) in enumerate(_scattered(rng, 5, 4)):
        canvas.circle(x, y, (2.9, 2.1)[index % 2], _WHITE)
    return _veil(canvas, 0.45)


@cache
def banks(scale: int) -> Veil:
    """Long soft banks of fog."""
    canvas = _Tile(scale)
    for x, y, half in ((14, 42, 30), (62, 62, 34), (30, 82, 36), (76, 22, 24)):
        canvas.ellipse(x, y, half, 6, _WHITE)
        canvas.ellipse(x - 8, y - 4, half * 0.5, 6, _WHITE)
    return _veil(canvas, 3.2)
