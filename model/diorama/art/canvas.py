"""A supersampled canvas in scale-independent units, and the sub-pixel strips and sprites cut from it."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Point = tuple[float, float]
Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

SUB = 4
"""Samples a pixel in each direction, and so the number of sub-pixel positions a picture can take."""
PERIOD = 320
"""Width of a tileable strip in units."""


def mix(first: Colour, second: Colour, amount: float) -> Colour:
    """`first` moved towards `second` by `amount` in 0..1."""
    red, green, blue = (round(a + (b - a) * amount) for a, b in zip(first, second, strict=True))
    return red, green, blue


def smooth(points: Sequence[Point], steps: int = 8) -> list[Point]:
    """A closed Catmull-Rom curve through `points`."""
    curve = []
    count = len(points)
    for index in range(count):
        a, b, c, d = (np.array(points[(index + offset) % count]) for offset in (-1, 0, 1, 2))
        for step in range(steps):
            u = step / steps
            point = b + 0.5 * u * (c - a + u * (2 * a - 5 * b + 4 * c - d + u * (3 * (b - c) + d - a)))
            curve.append((float(point[0]), float(point[1])))
    return curve


class Canvas:
    """A transparent picture of `width` x `height` units, drawn `SUB` times finer than its pixels.

    With `wrap` a shape that leaves on one side comes back on the other, so the picture tiles.
    `pose` moves and turns what is drawn next: (x, y, angle in radians).
    """

    def __init__(self, width: float, height: float, scale: int = 1, *, wrap: bool = False) -> None:
        self.width, self.height, self.scale, self.wrap = width, height, scale, wrap
        self.fine = SUB * scale
        self.pose: tuple[float, float, float] = (0.0, 0.0, 0.0)
        self.image = Image.new("RGBA", (round(width * self.fine), round(height * self.fine)), (0, 0, 0, 0))
        self._draw = ImageDraw.Draw(self.image)

    def _place(self, points: Iterable[Point]) -> list[Point]:
        x, y, angle = self.pose
        c, s = math.cos(angle), math.sin(angle)
        return [(x + c * px - s * py, y + s * px + c * py) for px, py in points]

    def polygon(self, points: Iterable[Point], colour: Colour) -> None:
        """Fill a polygon."""
        self._fill(points, (*colour, 255))

    def erase(self, points: Iterable[Point]) -> None:
        """Cut a polygon out of what has been drawn."""
        self._fill(points, (0, 0, 0, 0))

    def _fill(self, points: Iterable[Point], ink: tuple[int, int, int, int]) -> None:
        placed = self._place(points)
        for shift in (0.0, -self.width, self.width) if self.wrap else (0.0,):
            self._draw.polygon([((x + shift) * self.fine, y * self.fine) for x, y in placed], fill=ink)

    def blob(self, points: Sequence[Point], colour: Colour) -> None:
        """Fill a smooth closed curve through `points`."""
        self.polygon(smooth(points), colour)

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        """Fill an ellipse around (x, y)."""
        turns = np.linspace(0, 2 * math.pi, 40, endpoint=False)
        self.polygon([(x + rx * math.cos(a), y + ry * math.sin(a)) for a in turns], colour)

    def circle(self, x: float, y: float, radius: float, colour: Colour) -> None:
        """Fill a circle around (x, y)."""
        self.ellipse(x, y, radius, radius, colour)

    def box(self, x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        """Fill an upright rectangle."""
        self.polygon([(x0, y0), (x1, y0), (x1, y1), (x0, y1)], colour)

    def rounded(self, x0: float, y0: float, x1: float, y1: float, radius: float, colour: Colour) -> None:
        """Fill a rectangle with round corners."""
        self.box(x0 + radius, y0, x1 - radius, y1, colour)
        self.box(x0, y0 + radius, x1, y1 - radius, colour)
        for x in (x0 + radius, x1 - radius):
            for y in (y0 + radius, y1 - radius):
                self.circle(x, y, radius, colour)

    def stroke(self, start: Point, end: Point, width: float, colour: Colour) -> None:
        """Draw a straight line with round ends."""
        (x0, y0), (x1, y1) = start, end
        length = math.hypot(x1 - x0, y1 - y0) or 1.0
        nx, ny = (y0 - y1) / length * width / 2, (x1 - x0) / length * width / 2
        self.polygon([(x0 + nx, y0 + ny), (x1 + nx, y1 + ny), (x1 - nx, y1 - ny), (x0 - nx, y0 - ny)], colour)
        self.circle(x0, y0, width / 2, colour)
        self.circle(x1, y1, width / 2, colour)

    def ridge(self, height: Callable[[float], float], colour: Colour, bottom: float | None = None) -> None:
        """Fill everything below the line y = height(x), down to `bottom`."""
        low = self.height if bottom is None else bottom
        xs = np.arange(0, self.width + 1, 1.0)
        self.polygon([(0, low), *((float(x), height(float(x))) for x in xs), (self.width, low)], colour)

    def rim(self, width: float, colour: Colour) -> None:
        """Put a border of `width` units behind everything drawn so far."""
        alpha = self.image.getchannel("A")
        spread = alpha.filter(ImageFilter.GaussianBlur(width * self.fine)).point(lambda a: 255 if a > 40 else 0)
        border = Image.new("RGBA", self.image.size, (*colour, 255))
        border.putalpha(spread)
        border.paste(self.image, (0, 0), alpha)
        self.image.paste(border)

    def blurred(self, radius: float) -> Floats:
        """The canvas, premultiplied, blurred by `radius` units: `[height, width, 4]` float32 0..255, fine pixels."""
        margin = round(4 * radius * self.fine)
        picture = premultiplied(self.image)
        padded = np.pad(picture, ((margin, margin), (0, 0), (0, 0)), mode="edge")
        padded = np.pad(padded, ((0, 0), (margin, margin), (0, 0)), mode="wrap" if self.wrap else "edge")
        soft = Image.fromarray(padded.round().astype(np.uint8))
        soft = soft.filter(ImageFilter.GaussianBlur(radius * self.fine))
        return np.asarray(soft, np.float32)[margin:-margin, margin:-margin]


def premultiplied(image: Image.Image) -> Floats:
    """`[H, W, 4]` float32 0..255 with colour already multiplied by alpha."""
    picture = np.asarray(image, np.float32).copy()
    picture[..., :3] *= picture[..., 3:] / 255
    return picture


def reduce(picture: Floats) -> Floats:
    """Average fine pixels down to pixels."""
    rows = picture[::SUB].copy()
    for row in range(1, SUB):
        rows += picture[row::SUB]
    pixels = rows[:, ::SUB].copy()
    for column in range(1, SUB):
        pixels += rows[:, column::SUB]
    pixels *= np.float32(1 / SUB**2)
    return pixels


@dataclass(frozen=True, kw_only=True)
class Strip:
    """A tileable picture kept at `SUB` sub-pixel positions.

    `planes` is `[SUB, 4, rows, period + view] uint8`, premultiplied; the first row is row `top` of the frame.
    """

    planes: Bytes
    top: int
    period: int

    def cut(self, offset: float, view: int) -> Floats:
        """The `view` columns that start `offset` pixels in: `[4, rows, view]` float32 0..255."""
        column, phase = divmod(round(offset * SUB), SUB)
        column %= self.period
        return self.planes[phase, :, :, column : column + view].astype(np.float32)


def strip(picture: Floats, view: int) -> Strip:
    """Cut the strip of a premultiplied `[H, W, 4]` picture in fine pixels; empty rows above are dropped."""
    phases = np.stack([reduce(np.roll(picture, -phase, axis=1)) for phase in range(SUB)])
    period = phases.shape[2]
    used = np.flatnonzero(phases.max((0, 2, 3)) > 0.5)
    top = int(used[0]) if used.size else phases.shape[1] - 1
    planes = phases[:, top:].round().astype(np.uint8).transpose(0, 3, 1, 2)
    wrapped = np.concatenate([planes, planes[..., : view + 1]], axis=-1)
    return Strip(planes=np.ascontiguousarray(wrapped), top=top, period=period)


def with_shadow(canvas: Canvas, radius: float, strength: float) -> Floats:
    """The canvas over its own soft shadow, as if cut from paper and stood in front of what is behind it."""
    picture = premultiplied(canvas.image)
    shadow = canvas.blurred(radius)[..., 3] * strength
    picture[..., 3] += (1 - picture[..., 3] / 255) * shadow
    return picture
