"""Colours: how the actors are painted and how each time of day lights the world."""

from dataclasses import dataclass
from typing import Final

from longtake.model.diorama.art.canvas import Colour, mix

SNOW: Final[Colour] = (238, 243, 250)
CREAM: Final[Colour] = (255, 247, 226)
INK: Final[Colour] = (44, 40, 52)


@dataclass(frozen=True, kw_only=True)
class Paint:
    """The paints of one actor: the colour it is named by, its lights and darks, and its rim."""

    base: Colour
    light: Colour
    shade: Colour
    trim: Colour
    rim: Colour


def _paint(base: Colour) -> Paint:
    return Paint(
        base=base,
        light=mix(base, (255, 255, 255), 0.34),
        shade=mix(base, (20, 10, 40), 0.34),
        trim=CREAM,
        rim=mix(base, CREAM, 0.72),
    )


PAINTS: Final[dict[str, Paint]] = {
    "red": _paint((224, 36, 40)),
    "orange": _paint((250, 132, 16)),
    "yellow": _paint((255, 218, 34)),
    "green": _paint((34, 164, 62)),
    "blue": _paint((32, 92, 232)),
    "purple": _paint((146, 52, 200)),
    "white": Paint(
        base=(252, 252, 250), light=(226, 232, 242), shade=(186, 194, 212), trim=(206, 214, 230), rim=(84, 94, 128)
    ),
    "black": Paint(
        base=(30, 30, 38), light=(60, 62, 74), shade=(12, 12, 18), trim=(120, 124, 140), rim=(214, 218, 232)
    ),
}


@dataclass(frozen=True, kw_only=True)
class Light:
    """How a time of day looks. Triples of colours are far, middle, near."""

    sky: tuple[Colour, Colour, Colour, Colour]
    """Top to horizon."""
    overcast: tuple[Colour, Colour]
    """Top and horizon under rain, snow or fog; rain darkens it further."""
    layers: tuple[Colour, Colour, Colour]
    """What multiplies a layer's colour; 255 leaves it alone."""
    haze: Colour
    hazes: tuple[float, float, float]
    """How much of the haze lies over each layer."""
    actor: Colour
    cloud: Colour
    fog: Colour
    rain: Colour
    glow: float
    """How strongly windows and lamps shine, 0..1."""


LIGHTS: Final[dict[str, Light]] = {
    "dawn": Light(
        sky=((118, 146, 232), (176, 172, 238), (252, 188, 204), (255, 226, 184)),
        overcast=((136, 132, 176), (214, 178, 190)),
        layers=((232, 222, 236), (244, 228, 218), (255, 232, 208)),
        haze=(255, 200, 204),
        hazes=(0.24, 0.10, 0.0),
        actor=(255, 244, 240),
        cloud=(255, 226, 226),
        fog=(240, 208, 210),
        rain=(240, 236, 255),
        glow=0.4,
    ),
    "day": Light(
        sky=((46, 136, 240), (96, 176, 250), (158, 214, 252), (222, 242, 250)),
        overcast=((112, 134, 168), (184, 198, 214)),
        layers=((255, 255, 255), (255, 255, 255), (255, 255, 255)),
        haze=(192, 224, 250),
        hazes=(0.26, 0.08, 0.0),
        actor=(255, 255, 255),
        cloud=(255, 255, 255),
        fog=(214, 222, 230),
        rain=(240, 247, 255),
        glow=0.0,
    ),
    "dusk": Light(
        sky=((74, 44, 132), (160, 64, 140), (246, 108, 88), (255, 184, 90)),
        overcast=((88, 66, 112), (182, 116, 112)),
        layers=((202, 132, 156), (206, 148, 154), (222, 166, 148)),
        haze=(250, 120, 92),
        hazes=(0.24, 0.08, 0.0),
        actor=(255, 228, 220),
        cloud=(255, 150, 128),
        fog=(194, 136, 132),
        rain=(255, 222, 216),
        glow=0.85,
    ),
    "night": Light(
        sky=((12, 16, 58), (24, 34, 92), (44, 60, 132), (76, 98, 172)),
        overcast=((26, 32, 66), (58, 70, 116)),
        layers=((80, 102, 170), (94, 108, 168), (120, 128, 182)),
        haze=(62, 84, 156),
        hazes=(0.36, 0.10, 0.0),
        actor=(236, 238, 250),
        cloud=(78, 98, 164),
        fog=(82, 98, 144),
        rain=(186, 206, 244),
        glow=1.0,
    ),
}
