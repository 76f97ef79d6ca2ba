"""Weather: rain, snow and fog banks as tileable veils that slide across the frame."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import numpy as np
from PIL import Image, ImageFilter

from longtake.model.diorama.art.canvas import SUB, Bytes, Canvas, Colour, Floats, Point, premultiplied
from longtake.model.diorama.labels import HEIGHT, WIDTH

_TILE_WIDTH, _TILE_HEIGHT = 192, 128
"""Size of a veil's tile in units."""
_WHITE = (255, 255, 255)


@dataclass(frozen=True, kw_only=True)
class Veil:
    """A tileable opacity at every sub-pixel position: `[SUB, SUB, rows, columns] uint8`, padded by one frame."""

    planes: Bytes
    scale: int

    def cut(self, x: float, y: float) -> Floats:
        """The opacity `[H, W]` float32 0..1 of a frame whose corner lies at (x, y) units of the tile."""
        column, phase_x = divmod(round(x * self.scale * SUB), SUB)
        row, phase_y = divmod(round(y * self.scale * SUB), SUB)
        row, column = row % (_TILE_HEIGHT * self.scale), column % (_TILE_WIDTH * self.scale)
        rows, columns = HEIGHT * self.scale, WIDTH * self.scale
        part = self.planes[phase_y, phase_x, row : row + rows, column : column + columns]
        return np.multiply(part, np.float32(1 / 255))


class _Tile(Canvas):
    """A canvas that tiles in both directions."""

    def __init__(self, scale: int) -> None:
        super().__init__(_TILE_WIDTH, _TILE_HEIGHT, scale, wrap=True)

    def polygon(self, points: Iterable[Point], colour: Colour) -> None:
        corners = list(points)
        for shift in (0, -_TILE_HEIGHT, _TILE_HEIGHT):
            super().polygon([(x, y + shift) for x, y in corners], colour)


def _veil(canvas: Canvas, blur: float) -> Veil:
    scale, fine = canvas.scale, canvas.fine
    alpha = premultiplied(canvas.image)[..., 3]
    if blur:
        margin = round(3 * blur * fine)
        soft = Image.fromarray(np.pad(alpha, margin, mode="wrap").astype(np.uint8))
        soft = soft.filter(ImageFilter.GaussianBlur(blur * fine))
        alpha = np.asarray(soft, np.float32)[margin:-margin, margin:-margin]
    rows, columns = _TILE_HEIGHT * scale, _TILE_WIDTH * scale
    planes = np.empty((SUB, SUB, rows, columns), np.uint8)
    for y in range(SUB):
        for x in range(SUB):
            rolled = np.roll(alpha, (-y, -x), (0, 1)).reshape(rows, SUB, columns, SUB)
            planes[y, x] = rolled.mean((1, 3)).round()
    pad = ((0, 0), (0, 0), (0, HEIGHT * scale), (0, WIDTH * scale))
    return Veil(planes=np.pad(planes, pad, mode="wrap"), scale=scale)


def _scattered(rng: np.random.Generator, columns: int, rows: int) -> list[tuple[float, float]]:
    """One point somewhere in each cell of a grid, so that none bunch up."""
    return [
        ((column + rng.uniform(0.1, 0.9)) * _TILE_WIDTH / columns, (row + rng.uniform(0.1, 0.9)) * _TILE_HEIGHT / rows)
        for column in range(columns)
        for row in range(rows)
    ]


@cache
def rain(scale: int) -> Veil:
    """Thick, sparse, slanting strokes."""
    canvas = _Tile(scale)
    for x, y in _scattered(np.random.default_rng(600), 8, 5):
        canvas.stroke((x, y), (x - 3.2, y + 9.6), 1.8, _WHITE)
    return _veil(canvas, 0.25)


@cache
def snow(scale: int, size: float = 1.8) -> Veil:
    """Soft flakes of radius `size` units."""
    canvas = _Tile(scale)
    rng = np.random.default_rng(601 + round(10 * size))
    for x, y in _scattered(rng, 6, 5):
        canvas.circle(x, y, size * rng.uniform(0.85, 1.15), _WHITE)
    return _veil(canvas, 0.35)


@cache
def banks(scale: int) -> Veil:
    """Wide, very soft banks of fog."""
    canvas = _Tile(scale)
    for x, y in _scattered(np.random.default_rng(602), 3, 3):
        canvas.ellipse(x, y, 34, 9, _WHITE)
    return _veil(canvas, 7.0)
