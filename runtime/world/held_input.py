"""What hands hold: a value for each axis of the model, sampled when a block's step is issued.

Nothing is queued: a newer input replaces an older one, and a block is made under whatever is held when it starts. Only
an input for a later tick waits, so that a scenario does not depend on the speed of the machine.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from longtake.protocol.errors import Refused
from longtake.protocol.messages import ModelInfo

MAX_LATER = 1000
"""inputs of one world that may wait for a later tick; more are refused"""


@dataclass(frozen=True, kw_only=True)
class LaterInput:
    """An input that waits for its block."""

    block: int
    values: Mapping[str, float]
    who: object


class HeldInput:
    """The axes of one world. An axis that nobody holds is at 0."""

    def __init__(self, model: ModelInfo) -> None:
        self._values = {axis.name: 0.0 for axis in model.axes}
        self._holders: dict[str, object] = {}
        self._later: list[LaterInput] = []

    @property
    def values(self) -> dict[str, float]:
        """What is held now, by axis."""
        return dict(self._values)

    @property
    def actions(self) -> tuple[float, ...]:
        """What is held now, in the order of the model's axes."""
        return tuple(self._values.values())

    def hold(self, values: Mapping[str, float], who: object) -> None:
        """Hold axes at these values from now on; the others stay as they are."""
        for axis, value in values.items():
            self._values[axis] = value
            self._holders[axis] = who

    def hold_later(self, block: int, values: Mapping[str, float], who: object) -> None:
        """Hold axes at these values from a later block on. Raises `Refused("too_fast")` if too many wait."""
        if len(self._later) >= MAX_LATER:
            raise Refused("too_fast", f"{MAX_LATER} inputs of this world already wait for their tick; send fewer")
        self._later.append(LaterInput(block=block, values=values, who=who))
        self._later.sort(key=lambda later: later.block)

    def preview(self, block: int) -> dict[str, float]:
        """Return what will be held at a block, going by the inputs known now."""
        values = self.values
        for later in self._later:
            if later.block <= block:
                values.update(later.values)
        return values

    def sample(self, block: int) -> tuple[float, ...]:
        """A block starts: return its actions."""
        while self._later and self._later[0].block <= block:
            later = self._later.pop(0)
            self.hold(later.values, later.who)
        return self.actions

    def let_go(self, who: object) -> None:
        """Put what someone holds at rest, and drop their inputs for later ticks."""
        for axis, holder in list(self._holders.items()):
            if holder == who:
                self._values[axis] = 0.0
                del self._holders[axis]
        self._later = [later for later in self._later if later.who != who]

    def reset(self) -> None:
        """Start a new take: hands hold what they held, and inputs for later ticks are dropped."""
        self._later.clear()
