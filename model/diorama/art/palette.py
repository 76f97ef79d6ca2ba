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
    """Top and horizon under rain, snow or fog."""
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
        sky=((126, 150, 226), (178, 176, 232), (250, 196, 206), (255, 226, 190)),
        overcast=((142, 140, 178), (208, 182, 192)),
        layers=((238, 208, 228), (240, 210, 214), (244, 218, 212)),
        haze=(252, 204, 204),
        hazes=(0.36, 0.16, 0.04),
        actor=(252, 240, 240),
        cloud=(255, 224, 226),
        fog=(236, 212, 214),
        rain=(232, 226, 246),
        glow=0.35,
    ),
    "day": Light(
        sky=((58, 142, 238), (104, 178, 248), (160, 212, 252), (214, 238, 250)),
        overcast=((118, 136, 164), (176, 190, 206)),
        layers=((255, 255, 255), (255, 255, 255), (255, 255, 255)),
        haze=(196, 224, 248),
        hazes=(0.30, 0.10, 0.0),
        actor=(255, 255, 255),
        cloud=(255, 255, 255),
        fog=(212, 220, 228),
        rain=(236, 244, 255),
        glow=0.0,
    ),
    "dusk": Light(
        sky=((70, 44, 122), (150, 62, 132), (240, 108, 84), (255, 178, 84)),
        overcast=((84, 64, 104), (176, 112, 104)),
        layers=((206, 124, 132), (196, 126, 136), (190, 128, 140)),
        haze=(244, 124, 88),
        hazes=(0.30, 0.12, 0.03),
        actor=(250, 226, 222),
        cloud=(255, 150, 124),
        fog=(186, 134, 128),
        rain=(240, 206, 206),
        glow=0.8,
    ),
    "night": Light(
        sky=((8, 12, 42), (16, 24, 66), (28, 42, 96), (48, 66, 124)),
        overcast=((22, 27, 52), (44, 54, 86)),
        layers=((74, 92, 150), (72, 88, 142), (74, 92, 142)),
        haze=(40, 56, 112),
        hazes=(0.34, 0.12, 0.0),
        actor=(226, 228, 244),
        cloud=(66, 82, 138),
        fog=(66, 78, 112),
        rain=(150, 172, 214),
        glow=1.0,
    ),
}
