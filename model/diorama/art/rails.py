"""The rails that carry the train over land."""

import numpy as np

from longtake.model.diorama.art.canvas import PERIOD, Canvas
from longtake.model.diorama.art.things import Cover

RAIL = 84.5
"""Height of the rails' upper edge, in units from the top: where every wheel stands."""


def rails(land: Canvas, glow: Canvas, rng: np.random.Generator, cover: Cover) -> None:
    """A line of rail on its sleepers."""
    for x in range(0, PERIOD, 16):
        land.rounded(x + 3, RAIL + 1, x + 13, RAIL + 5, 1, cover((118, 82, 66), 0.3))
    land.box(0, RAIL, PERIOD, RAIL + 2, (214, 218, 230))
