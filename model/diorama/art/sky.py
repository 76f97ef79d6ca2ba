"""Skies: gradient, sun, moon, stars and clouds."""

from functools import cache
from typing import Final

import numpy as np

from longtake.model.diorama.art.canvas import PERIOD, Canvas, Colour, Floats, Strip, mix, pixels, strip
from longtake.model.diorama.art.palette import LIGHTS
from longtake.model.diorama.labels import HEIGHT, WIDTH

HORIZON = 72
"""Where the sky's gradient ends, in units from the top."""

_SUNS: Final[dict[str, tuple[float, float, float, Colour]]] = {
    "dawn": (124, 46, 11, (255, 238, 190)),
    "day": (130, 19, 11, (255, 240, 150)),
    "dusk": (32, 48, 13, (255, 214, 104)),
    "night": (128, 20, 10, (255, 250, 222)),
}
"""Place, radius and colour of the sun, and of the moon, in units."""
_HALOS: Final = {"dawn": 0.55, "day": 0.5, "dusk": 0.6, "night": 0.45}
_MOONLIGHT: Final = (150, 170, 240)
_STARS = 16


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
    planes = pixels(canvas.image, canvas.scale)
    picture *= 1 - planes[3] / 255
    picture += planes[:3]


def _star(canvas: Canvas, x: float, y: float, reach: float) -> None:
    """A star of four points."""
    thin = reach * 0.34
    corners = [(0, -reach), (thin, -thin), (reach, 0), (thin, thin), (0, reach), (-thin, thin), (-reach, 0)]
    canvas.polygon([(x + dx, y + dy) for dx, dy in [*corners, (-thin, -thin)]], (246, 246, 255))


def _night_lights(canvas: Canvas, rng: np.random.Generator) -> None:
    x, y, radius, colour = _SUNS["night"]
    for index in range(_STARS):
        column, row = index % 6, index // 6
        star_x, star_y = (column + rng.uniform(0.2, 0.8)) * WIDTH / 6, (row + rng.uniform(0.2, 0.8)) * 17
        if np.hypot(star_x - x, star_y - y) > 19:
            _star(canvas, star_x, star_y, (1.9, 2.8)[index % 4 == 0])
    moon, bite = (Canvas(WIDTH, HEIGHT, canvas.scale) for _ in range(2))
    moon.circle(x, y, radius, colour)
    moon.circle(x + 4.5, y + 3, 2, mix(colour, (160, 160, 190), 0.4))
    bite.circle(x - 6, y - 2.5, radius - 0.5, (255, 255, 255))
    moon.image.paste((0, 0, 0, 0), (0, 0), bite.image.getchannel("A"))
    canvas.image.alpha_composite(moon.image)


@cache
def sky(time: str, variant: int, scale: int) -> Floats:
    """The clear sky of a time of day: `[3, H, W]` float32 0..255."""
    picture = _gradient(LIGHTS[time].sky, scale)
    canvas = Canvas(WIDTH, HEIGHT, scale)
    x, y, radius, colour = _SUNS[time]
    shine = _MOONLIGHT if time == "night" else colour
    _halo(picture, x * scale, y * scale, (26 if time == "night" else 36) * scale, shine, _HALOS[time])
    if time == "night":
        _night_lights(canvas, np.random.default_rng(400 + variant))
    else:
        canvas.circle(x, y, radius + 3.5, mix(colour, LIGHTS[time].sky[1], 0.45))
        canvas.circle(x, y, radius, colour)
    _lay(picture, canvas)
    return picture


@cache
def overcast(time: str, scale: int) -> Floats:
    """The covered sky of a time of day: `[3, H, W]` float32 0..255."""
    return _gradient(LIGHTS[time].overcast, scale)


@cache
def glitter(time: str, horizon: float, scale: int) -> Floats:
    """The light that sun or moon lay on water below `horizon`: `[4, H, W]` float32 0..255, premultiplied."""
    x, _, _, colour = _SUNS[time]
    canvas = Canvas(WIDTH, HEIGHT, scale)
    for step, (shift, half) in enumerate(((0, 11), (-3, 14), (4, 9), (-2, 12), (3, 7))):
        canvas.ellipse(x + shift, horizon + 2.2 + 4.4 * step, half, 1.3, colour)
    return pixels(canvas.image, scale) * np.float32(0.75)


@cache
def clouds(variant: int, scale: int) -> Strip:
    """A tileable band of soft white clouds with flat feet."""
    rng = np.random.default_rng(500 + variant)
    canvas = Canvas(PERIOD, HEIGHT, scale, wrap=True)
    count = 5
    for index in range(count):
        x = (index + rng.uniform(0.25, 0.75)) * PERIOD / count
        y, size = rng.uniform(10, 34), rng.uniform(0.95, 1.35)
        for dx, dy, rx, ry in (
            (-11, 0.4, 8, 4.4),
            (-3, -2.6, 8.5, 6.2),
            (6, -1.2, 7.5, 5.2),
            (13, 1.0, 7, 3.4),
            (0, 2.2, 18, 3.2),
        ):
            canvas.ellipse(x + dx * size, y + dy * size, rx * size, ry * size, (255, 255, 255))
    soft = canvas.blurred(0.6).point(lambda value: round(0.88 * value))
    return strip(soft, scale, WIDTH * scale)
