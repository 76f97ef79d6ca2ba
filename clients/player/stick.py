"""What hands hold in the player: arrow keys and gamepad sticks as values of the model's axes. No window, no clock.

The first axis goes from left to right and the second upwards. A key pushes an axis halfway at once and all the way
after a short ramp, so that a tap is gentler than a push. A key that is let go puts its axis at rest at once: the
world eases by itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

from longtake.protocol.messages import Axis

RAMP_S = 0.15
"""from the press of a key until its axis is pushed all the way"""
FIRST_SHARE = 0.5
"""of the whole way, at once"""
DEAD_ZONE = 0.15
"""of a gamepad's way, in which it counts as at rest: worn sticks do not come back to their middle"""
DIRECTIONS = {"left": (0, -1), "right": (0, 1), "down": (1, -1), "up": (1, 1)}
"""which of the sticks a key pushes, and which way"""


@dataclass(kw_only=True)
class Stick:
    """The axes of a world and what pushes them; times are seconds."""

    axes: Sequence[Axis] = ()
    _pushed: dict[str, float] = field(default_factory=dict)
    """keys that are down, oldest first, and since when"""
    _leans: dict[int, float] = field(default_factory=dict)
    """what a gamepad does to each stick, -1 to 1"""
    _down: set[int] = field(default_factory=set)
    """buttons of a gamepad that are down"""

    def use(self, axes: Sequence[Axis]) -> None:
        """Steer another world; nothing is held."""
        self.axes = axes
        self.let_go()

    def let_go(self) -> None:
        """Put everything at rest."""
        self._pushed.clear()
        self._leans.clear()
        self._down.clear()

    def push(self, direction: str, now: float) -> None:
        """A key goes down."""
        self._pushed[direction] = now

    def release(self, direction: str) -> None:
        """A key goes up."""
        self._pushed.pop(direction, None)

    def lean(self, stick: int, way: float) -> None:
        """A gamepad moves a stick: -1 (left, down) to 1 (right, up)."""
        way = max(-1.0, min(1.0, way))
        beyond = max(0.0, abs(way) - DEAD_ZONE) / (1 - DEAD_ZONE)
        self._leans[stick] = beyond if way > 0 else -beyond

    def button(self, number: int, *, down: bool) -> None:
        """A button of a gamepad goes down or up."""
        if down:
            self._down.add(number)
        else:
            self._down.discard(number)

    def moving(self, now: float) -> bool:
        """Whether a key is still on its ramp."""
        return any(now - since < RAMP_S for since in self._pushed.values())

    def values(self, now: float) -> dict[str, float]:
        """Return the value of every axis; a key counts before a gamepad, and of two keys the newer one."""
        sticks = [axis for axis in self.axes if not axis.button]
        buttons = [axis for axis in self.axes if axis.button]
        held = {axis.name: _of_way(axis, self._leans.get(stick, 0.0)) for stick, axis in enumerate(sticks)}
        for direction, since in self._pushed.items():
            stick, sign = DIRECTIONS[direction]
            if stick < len(sticks):
                share = min(1.0, FIRST_SHARE + (1 - FIRST_SHARE) * (now - since) / RAMP_S)
                held[sticks[stick].name] = _of_way(sticks[stick], sign * share)
        return held | {axis.name: float(number in self._down) for number, axis in enumerate(buttons)}


def way_of(axis: Axis, value: float) -> float:
    """Return where a value lies on the way of its axis: -1 (lowest) to 1 (highest), 0 at rest."""
    end = axis.high if value > 0 else -axis.low
    return value / end if end > 0 else 0.0


def _of_way(axis: Axis, way: float) -> float:
    """Return the value at a place on the way of an axis; the inverse of `way_of`."""
    value = way * (axis.high if way > 0 else -axis.low)
    # rounded so that a worn stick does not send a new value with every tremble
    return max(axis.low, min(axis.high, round(value, 3))) + 0.0
