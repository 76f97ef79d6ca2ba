"""Skies: gradient, sun, moon, stars and clouds."""

from functools import cache

import numpy as np

from longtake.model.diorama.art.canvas import PERIOD, Canvas, Floats, Strip, premultiplied, reduce, strip
from longtake.model.diorama.art.palette import LIGHTS
from longtake.model.diorama.labels import HEIGHT, WIDTH

HORIZON = 72
"""Where the sky's gradient ends, in units from the top."""

_SUNS = {
    "dawn": (126, 50, 10, (255, 240, 200)),
    "day": (130, 18, 10, (255, 244, 170)),
    "dusk": (30, 52, 12, (255, 214, 110)),
}
"""Place, radius and colour of the sun, in units."""
_HALOS = {"dawn": 0.55, "day": 0.5, "dusk": 0.6}
_MOON = (128, 20, 9)
_STARS = 13


def _gradient(stops: tuple[tuple[int, int, int], ...], scale: int) -> Floats:
    rows = (np.arange(HEIGHT * scale) + 0.5) / scale
    places = np.linspace(0, HORIZON, len(stops))
    channels = [np.interp(rows, places, [stop[channel] for stop in stops]) for channel in range(3)]
    column = np.stack(channels).astype(np.float32)
    return np.repeat(column[:, :, None], WIDTH * scale, axis=2)


def _halo(picture: Floats, x: float, y: float, reach: float, colour: tuple[int, int, int], strength: float) -> None:
    """Light `picture` `[3, H, W]` softly around (x, y), in place; lengths in pixels."""
    rows, columns = np.mgrid[: picture.shape[1], : picture.shape[2]]
    distance = np.hypot(columns + 0.5 - x, rows + 0.5 - y)
    amount = (strength * np.exp(-((distance / reach) ** 2))).astype(np.float32)
    picture += amount * (np.array(colour, np.float32)[:, None, None] - picture)


def _lay(picture: Floats, canvas: Canvas) -> None:
    planes = reduce(premultiplied(canvas.image)).transpose(2, 0, 1)
    picture *= 1 - planes[3] / 255
    picture += planes[:3]


def _night_lights(canvas: Canvas, rng: np.random.Generator) -> None:
    x, y, radius = _MOON
    stars = 0
    while stars < _STARS:
        star_x, star_y = rng.uniform(3, WIDTH - 3), rng.uniform(3, 56)
        if np.hypot(star_x - x, star_y - y) > 18:
            canvas.circle(star_x, star_y, rng.uniform(0.95, 1.35), (236, 238, 255))
            stars += 1
    moon = Canvas(WIDTH, HEIGHT, canvas.scale)
    moon.circle(x, y, radius, (255, 250, 226))
    bite = Canvas(WIDTH, HEIGHT, canvas.scale)
    bite.circle(x - 5.5, y - 2.5, radius - 0.5, (255, 255, 255))
    moon.image.paste((0, 0, 0, 0), (0, 0), bite.image.getchannel("A"))
    canvas.image.alpha_composite(moon.image)


@cache
def sky(time: str, variant: int, scale: int) -> Floats:
    """The clear sky of a time of day: `[3, H, W]` float32 0..255."""
    picture = _gradient(LIGHTS[time].sky, scale)
    canvas = Canvas(WIDTH, HEIGHT, scale)
    if time == "night":
        _night_lights(canvas, np.random.default_rng(400 + variant))
        _halo(picture, _MOON[0] * scale, _MOON[1] * scale, 26 * scale, (150, 170, 230), 0.45)
    else:
        x, y, radius, colour = _SUNS[time]
        _halo(picture, x * scale, y * scale, 34 * scale, colour, _HALOS[time])
        canvas.circle(x, y, radius, colour)
    _lay(picture, canvas)
    return picture


@cache
def overcast(time: str, scale: int) -> Floats:
    """The covered sky of a time of day: `[3, H, W]` float32 0..255."""
    return _gradient(LIGHTS[time].overcast, scale)


@cache
def clouds(variant: int, scale: int) -> Strip:
    """A tileable band of soft white clouds."""
    rng = np.random.default_rng(500 + variant)
    canvas = Canvas(PERIOD, HEIGHT, scale, wrap=True)
    count = 6
    for index in range(count):
        x = (index + rng.uniform(0.2, 0.8)) * PERIOD / count
        y, size = rng.uniform(9, 36), rng.uniform(0.8, 1.25)
        for dx, dy, rx, ry in (
            (-11, 1, 8, 3.6),
            (-3, -2.4, 8, 5.2),
            (6, -0.8, 7, 4.4),
            (13, 1.4, 7, 3),
            (0, 2, 17, 3.2),
        ):
            canvas.ellipse(x + dx * size, y + dy * size, rx * size, ry * size, (255, 255, 255))
    return strip(canvas.blurred(0.7) * np.float32(0.86), WIDTH * scale)
