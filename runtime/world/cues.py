"""Pending cues: every prompt and event gets its block when it arrives, and waits here for that block's step.

Cues for the same block share one recache and are applied in the order they came. A cue with `at_tick` waits
for the first block that starts at or after it, so its place does not depend on the speed of the machine.
"""

from dataclasses import dataclass

from longtake.protocol.errors import Refused
from longtake.protocol.fields import MAX_NUMBER
from longtake.protocol.messages import CueKind, ModelInfo
from longtake.runtime.world.prompt_state import PromptState

MAX_PENDING = 1000
"""cues of one world that may wait for their block; more are refused"""


@dataclass(frozen=True, kw_only=True)
class BlockGrid:
    """Which ticks a block covers. The first block may differ in length (Wan's decoder)."""

    first_frames: int
    frames: int

    @classmethod
    def of(cls, model: ModelInfo) -> "BlockGrid":
        """Return the grid of a model."""
        return cls(first_frames=model.first_block_frames, frames=model.block_frames)

    def first_tick(self, block: int) -> int:
        """Return the tick of the block's first frame."""
        return 0 if block == 0 else self.first_frames + (block - 1) * self.frames

    def length(self, block: int) -> int:
        """Return the number of frames of the block."""
        return self.first_frames if block == 0 else self.frames

    def block_of(self, tick: int) -> int:
        """Return the block that a tick belongs to."""
        return self.block_from(tick + 1) - 1

    def block_from(self, tick: int) -> int:
        """Return the first block that starts at or after `tick`."""
        if tick <= 0:
            return 0
        return 1 + max(0, -(-(tick - self.first_frames) // self.frames))

    def block_for(self, at_tick: int) -> int:
        """Return the same for a request's `at_tick`. Raises `Refused("invalid")` beyond the numbers of the protocol."""
        block = self.block_from(at_tick)
        if self.first_tick(block) > MAX_NUMBER:
            raise Refused("invalid", f"no block begins at or after tick {at_tick}; the last tick is {MAX_NUMBER}")
        return block


@dataclass(frozen=True, kw_only=True)
class Cue:
    """An accepted prompt or event, and the block at which it takes effect."""

    number: int
    kind: CueKind
    label: str
    """the typed text or the event's name"""
    block: int
    amend: bool = False
    """a typed text that changes a part of the prompt in force, instead of replacing it"""
    timed: bool = False
    """its block was asked for, so what is made of it must not depend on when it came"""

    def apply(self, state: PromptState) -> PromptState:
        """Return the prompt state after this cue."""
        if self.kind == "event":
            return state.with_event(self.label)
        return state.with_prompt(self.label, amend=self.amend)


class CueQueue:
    """The cues of one world that wait for their block, in order of block and, within it, of arrival."""

    def __init__(self) -> None:
        self._cues: list[Cue] = []

    def __len__(self) -> int:
        return len(self._cues)

    def add(self, cue: Cue) -> int:
        """Queue a cue; return how many now share its block. Raises `Refused("too_fast")` when full."""
        if len(self._cues) >= MAX_PENDING:
            raise Refused("too_fast", f"{MAX_PENDING} cues of this world already wait for their block; send fewer")
        self._cues.append(cue)
        self._cues.sort(key=lambda waiting: (waiting.block, waiting.number))
        return sum(waiting.block == cue.block for waiting in self._cues)

    def take(self, block: int) -> list[Cue]:
        """Remove and return the cues due at or before `block`, in order."""
        due = [cue for cue in self._cues if cue.block <= block]
        del self._cues[: len(due)]
        return due

    def due(self, block: int) -> bool:
        """Whether a cue waits that is due at or before `block`."""
        return bool(self._cues) and self._cues[0].block <= block

    def timed(self, block: int) -> bool:
        """Whether one of the cues that are due at or before `block` was asked for at its tick."""
        return any(cue.timed for cue in self._cues if cue.block <= block)

    def preview(self, state: PromptState, block: int) -> PromptState:
        """Return what `state` will be at `block`, going by the cues known now."""
        for cue in self._cues:
            if cue.block <= block:
                state = cue.apply(state)
        return state
