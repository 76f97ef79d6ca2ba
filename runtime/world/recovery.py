"""What a world keeps in order to go on after its generator died: the newest snapshot and the steps since.

A world is brought back by restoring the snapshot and making the blocks since then a second time, unseen, under
the same conditionings. Without a snapshot yet, it is opened again from its seed and all its steps are made again.
"""

import hashlib
from dataclasses import dataclass
from typing import Literal

from longtake.protocol.conditioning import Conditioning


@dataclass(frozen=True, kw_only=True)
class RestorePoint:
    """Where to go on after a loss: before block `block`, from `snapshot` (None: from the seed)."""

    block: int
    snapshot: bytes | None = None

    @property
    def kind(self) -> Literal["compact", "open"]:
        """The name of this kind in take files."""
        return "open" if self.snapshot is None else "compact"

    @property
    def digest(self) -> str:
        """blake2b-128 of the snapshot, hex; empty if there is none."""
        return "" if self.snapshot is None else hashlib.blake2b(self.snapshot, digest_size=16).hexdigest()


class Recovery:
    """Restore point and step log of one generation of a world."""

    def __init__(self, *, every_s: float) -> None:
        self.every_s = every_s
        self.point = RestorePoint(block=0)
        self._conditionings: dict[int, Conditioning] = {}
        self._asked_at: float | None = None

    def issued(self, block: int, conditioning: Conditioning | None) -> None:
        """Remember the new conditioning that a step carried; None if it carried none."""
        if conditioning is not None:
            self._conditionings[block] = conditioning

    def conditioning_of(self, block: int) -> Conditioning | None:
        """Return the new conditioning that the step of `block` carried when it was first issued."""
        return self._conditionings.get(block)

    def due(self, now: float, made: int, intervals: int = 1) -> bool:
        """Whether it is time for a new snapshot: `intervals` x `every_s` after the last, if blocks were made since."""
        if self._asked_at is None:
            self._asked_at = now
        return made > self.point.block and now - self._asked_at >= intervals * self.every_s

    def asked(self, now: float) -> None:
        """A snapshot was requested."""
        self._asked_at = now

    def saved(self, block: int, snapshot: bytes) -> None:
        """Keep a snapshot, and forget the steps before it."""
        self.point = RestorePoint(block=block, snapshot=snapshot)
        self._conditionings = {at: kept for at, kept in self._conditionings.items() if at >= block}
