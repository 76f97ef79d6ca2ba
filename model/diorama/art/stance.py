"""What an actor's drawing depends on besides its colour."""

import math
from dataclasses import dataclass
from typing import Final

LEVELS: Final = 2
"""Steps of stride and effort above none."""


@dataclass(frozen=True, kw_only=True)
class Stance:
    """One drawing of an actor."""

    step: int
    """Which of `steps` drawings of the cycle."""
    steps: int
    sea: bool
    """Whether it is at sea."""
    stride: int
    """How far it strides, 0 (stands) to `LEVELS`."""
    effort: int
    """How hard it works to climb, 0 to `LEVELS`."""

    @property
    def phase(self) -> float:
        """The step as a share of the cycle, 0..1."""
        return self.step / self.steps

    @property
    def turn(self) -> float:
        """The step as an angle in radians."""
        return 2 * math.pi * self.phase
