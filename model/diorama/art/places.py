"""Every place as tileable layers, far to near, each bare and under snow, with its lights apart."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
from PIL import ImageChops

from longtake.model.diorama.art import city, desert, forest, meadow, mountains, ocean
from longtake.model.diorama.art.canvas import PERIOD, Canvas, Strip, strip, with_shadow
from longtake.model.diorama.art.rails import rails
from longtake.model.diorama.art.things import Cover, bare, snowed
from longtake.model.diorama.labels import HEIGHT, PLACES, WIDTH

Draw = Callable[[Canvas, Canvas, np.random.Generator, Cover], None]

VARIANTS: Final = 2
PARALLAX: Final = (0.25, 0.5, 1.0)
"""How fast far, middle and near layers scroll, against the ground."""
CAMERA: Final = (1.0, 2.5, 4.0)
"""How far far, middle and near layers sink when the camera rises with lift 1, in units."""
DEEP: Final = 6
"""How far layers reach below the frame, in units, for the camera to go down."""
RAILS: Final = 3
"""The number of the layer that carries the train; it scrolls with the ground."""
FRONT: Final = 4
"""The number of the layer in front of the actor, where a place has one."""

LAYERS: Final[dict[str, tuple[Draw, ...]]] = {
    "meadow": (meadow.far, meadow.middle, meadow.near, rails),
    "forest": (forest.far, forest.middle, forest.near, rails),
    "desert": (desert.far, desert.middle, desert.near, rails),
    "mountains": (mountains.far, mountains.middle, mountains.near, rails),
    "city": (city.far, city.middle, city.near, rails),
    "ocean": (ocean.far, ocean.middle, ocean.near, ocean.bridge, ocean.front),
}


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One parallax layer: as it is, under snow, and the lights on it (None where it has none)."""

    bare: Strip
    snowed: Strip
    glow: Strip | None


def _drawn(place: str, depth: int, variant: int, scale: int, cover: Cover) -> tuple[Canvas, Canvas]:
    land, glow = (Canvas(PERIOD, HEIGHT + DEEP, scale, wrap=True) for _ in range(2))
    rng = np.random.default_rng([700, PLACES.index(place), depth, variant])
    LAYERS[place][depth](land, glow, rng, cover)
    return land, glow


@cache
def layer(place: str, depth: int, variant: int, scale: int) -> Layer:
    """Layer `depth` (0 far, 1 middle, 2 near, `RAILS`, `FRONT`) of a place, drawn once a process."""
    view = WIDTH * scale
    land, glow = _drawn(place, depth, variant, scale, bare)
    white, _ = _drawn(place, depth, variant, scale, snowed)
    strength = 0.0 if depth >= RAILS else 0.45
    lit = None
    if glow.image.getbbox():
        halo = glow.blurred(3.4).point(lambda value: round(0.6 * value))
        lit = strip(ImageChops.add(glow.image.convert("RGBa"), halo), scale, view)
    return Layer(
        bare=strip(with_shadow(land, 2.2, strength), scale, view),
        snowed=strip(with_shadow(white, 2.2, strength), scale, view),
        glow=lit,
    )
