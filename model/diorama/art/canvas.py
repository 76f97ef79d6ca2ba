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

PERIOD = 320
"""Width of a tileable strip in units."""
_FINE = 8
"""Samples a unit, at least: an eighth of a unit is the smallest step that anything moves by."""


def subsamples(scale: int) -> int:
    """Samples a pixel in each direction, and so the number of sub-pixel positions a picture can take."""
    return max(2, _FINE // scale)


def mix(first: Colour, second: Colour, amount: float) -> Colour:
    """`first` moved towards `second` by `amount` in 0..1."""
    red, green, blue = (round(a + (b - a) * amount) for a, b in zip(first, second, strict=True))
    return red, green, blue


def smooth(points: Sequence[Point], steps: int = 8) -> list[Point]:
    """A closed Catmull-Rom curve through `points`."""
    b = np.array(points, float)
    a, c, d = (np.roll(b, shift, axis=0) for shift in (1, -1, -2))
    u = (np.arange(steps) / steps)[:, None, None]
    curve = b + 0.5 * u * (c - a + u * (2 * a - 5 * b + 4 * c - d + u * (3 * (b - c) + d - a)))
    return [(float(x), float(y)) for x, y in curve.transpose(1, 0, 2).reshape(-1, 2)]


class Canvas:
    """A transparent picture of `width` x `height` units, drawn `subsamples` times finer than its pixels.

    With `wrap` a shape that leaves on one side comes back on the other, so the picture tiles.
    `pose` moves and turns what is drawn next: (x, y, angle in radians).
    """

    def __init__(self, width: float, height: float, scale: int = 1, *, wrap: bool = False) -> None:
        self.width, self.height, self.scale, self.wrap = width, height, scale, wrap
        self.fine = subsamples(scale) * scale
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

    def blurred(self, radius: float) -> Image.Image:
        """The canvas, premultiplied ("RGBa"), blurred by `radius` units. Softness needs no fine samples on the way."""
        factor = max(1, int(radius * self.fine / 3))
        coarse = self.image.convert("RGBa").reduce(factor)
        margin = coarse.width // 4 if self.wrap else 0
        wide = Image.new("RGBa", (coarse.width + 2 * margin, coarse.height))
        for x in (margin - coarse.width, margin, margin + coarse.width) if margin else (0,):
            wide.paste(coarse, (x, 0))
        soft = wide.filter(ImageFilter.GaussianBlur(radius * self.fine / factor))
        return soft.crop((margin, 0, margin + coarse.width, coarse.height)).resize(
            self.image.size, Image.Resampling.BILINEAR
        )


@dataclass(frozen=True, kw_only=True)
class Strip:
    """A tileable picture kept at every sub-pixel position to the right.

    `planes` is `[positions, 4, rows, period + view] uint8`, premultiplied; the first row is row `top` of the frame.
    """

    planes: Bytes
    top: int
    period: int

    def cut(self, offset: float, drop: float, height: int, view: int) -> tuple[int, Floats]:
        """The part that a frame of `height` x `view` pixels sees `offset` pixels in, moved down by `drop` pixels.

        Returns the row of the frame it starts at and `[4, rows, view]` float32 0..255.
        """
        positions = len(self.planes)
        column, phase = divmod(round(offset * positions), positions)
        column %= self.period
        seen = self.planes[phase, :, :, column : column + view]
        whole, between = divmod(round(drop * positions), positions)
        first = self.top + whole
        skip = max(0, -first)
        rows = min(height - max(first, 0), seen.shape[1] - skip)
        part = seen[:, skip : skip + rows].astype(np.float32)
        if between:
            part *= np.float32(1 - between / positions)
            above = seen[:, max(skip - 1, 0) : skip + rows - 1]
            part[:, -above.shape[1] :] += np.float32(between / positions) * above
        return max(first, 0), part


def strip(picture: Image.Image, scale: int, view: int) -> Strip:
    """Cut the strip of a canvas's picture ("RGBA", or "RGBa" when premultiplied); empty rows above are dropped."""
    positions = subsamples(scale)
    fine = picture if picture.mode == "RGBa" else picture.convert("RGBa")
    wide = Image.new("RGBa", (fine.width + positions, fine.height))
    wide.paste(fine, (0, 0))
    wide.paste(fine, (fine.width, 0))
    phases = np.stack(
        [np.asarray(wide.reduce(positions, (x, 0, x + fine.width, fine.height))) for x in range(positions)]
    )
    used = np.flatnonzero(phases[..., 3].max((0, 2)) > 0)
    top = int(used[0]) if used.size else phases.shape[1] - 1
    planes = phases[:, top:].transpose(0, 3, 1, 2)
    wrapped = np.concatenate([planes, planes[..., : view + 1]], axis=-1)
    return Strip(planes=np.ascontiguousarray(wrapped), top=top, period=phases.shape[2])


def with_shadow(canvas: Canvas, radius: float, strength: float) -> Image.Image:
    """The canvas over its own soft shadow, as if cut from paper and stood in front of what is behind it."""
    shadow = canvas.blurred(radius).getchannel("a").point(lambda alpha: round(alpha * strength))
    under = Image.new("RGBA", canvas.image.size, (24, 20, 48, 255))
    under.putalpha(shadow)
    under.alpha_composite(canvas.image)
    return under


def pixels(image: Image.Image, scale: int) -> Floats:
    """A canvas's picture as premultiplied pixels: `[4, H, W]` float32 0..255."""
    small = image.convert("RGBa").reduce(subsamples(scale))
    return np.asarray(small, np.float32).transpose(2, 0, 1).copy()
