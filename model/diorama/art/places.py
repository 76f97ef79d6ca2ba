"""Every place as three tileable layers, far to near, each bare and under snow, with its lights apart."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from longtake.model.diorama.art import country, shore
from longtake.model.diorama.art.canvas import PERIOD, Canvas, Strip, strip, with_shadow
from longtake.model.diorama.labels import HEIGHT, PLACES, WIDTH

Draw = Callable[[Canvas, Canvas, np.random.Generator, country.Cover], None]

VARIANTS: Final = 3
PARALLAX: Final = (0.2, 0.5, 1.0)
"""How fast far, middle and near layers scroll, against the ground."""
RAILS: Final = 3
"""The number of the layer that carries the train; it scrolls with the ground."""

LAYERS: Final[dict[str, tuple[Draw, Draw, Draw, Draw]]] = {
    "meadow": (country.meadow_far, country.meadow_middle, country.meadow_near, shore.rails),
    "forest": (country.forest_far, country.forest_middle, country.forest_near, shore.rails),
    "desert": (country.desert_far, country.desert_middle, country.desert_near, shore.rails),
    "mountains": (country.mountains_far, country.mountains_middle, country.mountains_near, shore.rails),
    "city": (shore.city_far, shore.city_middle, shore.city_near, shore.rails),
    "ocean": (shore.ocean_far, shore.ocean_middle, shore.ocean_near, shore.bridge),
}


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One parallax layer: as it is, under snow, and the lights on it (None where it has none)."""

    bare: Strip
    snowed: Strip
    glow: Strip | None


def _drawn(place: str, depth: int, variant: int, scale: int, cover: country.Cover) -> tuple[Canvas, Canvas]:
    land, glow = (Canvas(PERIOD, HEIGHT, scale, wrap=True) for _ in range(2))
    rng = np.random.default_rng([700, PLACES.index(place), depth, variant])
    LAYERS[place][depth](land, glow, rng, cover)
    return land, glow


@cache
def layer(place: str, depth: int, variant: int, scale: int) -> Layer:
    """Layer `depth` (0 far, 1 middle, 2 near, `RAILS`) of a place, drawn once a process."""
    view = WIDTH * scale
    land, glow = _drawn(place, depth, variant, scale, country.bare)
    white, _ = _drawn(place, depth, variant, scale, country.snowed)
    strength = 0.0 if depth == RAILS else 0.42
    lit = None
    if glow.image.getbbox():
        shine = 0.55 * glow.blurred(3.0)
        lit = strip(np.minimum(glow.blurred(0.15) + shine, 255), view)
    return Layer(
        bare=strip(with_shadow(land, 2.2, strength), view),
        snowed=strip(with_shadow(white, 2.2, strength), view),
        glow=lit,
    )
