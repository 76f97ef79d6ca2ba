"""What a world generates next: the block, its conditioning, and the cues that take effect with it.

Three counts tell where a take stands. `made` blocks have come back. `committed` blocks have a fixed conditioning: the
step of the last one may still be running, so a new cue takes effect at block `committed` at the earliest.
`next_block` is the one the generator is asked for next; it lies before `made` only while a restored world makes
its last blocks a second time.

In a live world the generator is brought under the next block's prompt before its step, when it has nothing else to do
(`cue_ahead`).
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import msgspec

from longtake.protocol.conditioning import Conditioning
from longtake.protocol.messages import CueKind, ModelInfo
from longtake.runtime.world.amending import amends
from longtake.runtime.world.cues import BlockGrid, Cue, CueQueue
from longtake.runtime.world.held_input import HeldInput
from longtake.runtime.world.prompt_state import PromptState
from longtake.runtime.world.recovery import Recovery, RestorePoint


@dataclass(frozen=True, kw_only=True)
class Accepted:
    """Where a cue takes effect."""

    cue: Cue
    tick: int
    conditioning: Conditioning
    """what the block will be made under, as far as is known now"""
    coalesced: int
    """cues that share the block so far"""


@dataclass(frozen=True, kw_only=True)
class AcceptedInput:
    """Where an input is sampled first."""

    block: int
    tick: int
    axes: dict[str, float]
    """what will be held there, as far as is known now"""


@dataclass(frozen=True, kw_only=True)
class MadeBlock:
    """A new block, with what took effect in it."""

    block: int
    first_tick: int
    cues: list[Cue]
    """that took effect with it"""
    last_cue: int
    """number of the last cue in force; 0 is the start"""
    conditioning: Conditioning | None
    """the new conditioning that its step carried; None if it did not change"""


class BlockPlan:
    """One take's blocks and cues; `reset` begins the next take."""

    def __init__(self, *, model: ModelInfo, state: PromptState, snapshot_every_s: float) -> None:
        self.grid = BlockGrid.of(model)
        self.state = state
        """prompt state at block `committed`, without the cues that still wait"""
        self.input = HeldInput(model)
        self._in_force = self.conditioning
        self.next_block = 0
        self.committed = 0
        self.made = 0
        self.running: int | None = None
        """the block whose step the generator is making"""
        self.late = False
        """whether the newest block asked for is followed by the recache of its prompt"""
        self.awaiting_decode: list[int] = []
        """blocks after their step, whose frames are still being decoded"""
        self._recovery = Recovery(every_s=snapshot_every_s)
        self._every_s = snapshot_every_s
        self._queue = CueQueue()
        self._cues_at: dict[int, list[Cue]] = {}
        self._first_open = 0
        """new cues go to this block or a later one, so that none overtakes one that was put off"""
        self._numbers = 0
        self._last_cue = 0
        self._ahead: Conditioning | None = None
        """what the generator was brought under since the last step"""
        self._via: str | None = None
        """the last prompt of these that was not the one in force"""

    @property
    def catching_up(self) -> bool:
        """Whether the generator is repeating blocks after a restore."""
        return self.next_block < self.made

    @property
    def pending(self) -> int:
        """Cues that wait for their block."""
        return len(self._queue)

    @property
    def conditioning(self) -> Conditioning:
        """What a block would be made under if it started now, without the cues that still wait."""
        return Conditioning(prompt=self.state.prompt(), actions=self.input.actions)

    @property
    def asked(self) -> PromptState:
        """The prompt state asked for last: cues for the next block count, cues for later ticks do not."""
        return self._queue.preview(self.state, max(self.committed, self._first_open))

    def accept(
        self, kind: CueKind, label: str, at_tick: int | None, *, amend: bool | None = None, put_off: bool = False
    ) -> Accepted:
        """Give a cue its block. Raises `Refused` if it names no event, renders too long, or too many wait.

        `amend` says whether a prompt amends the one before; None goes by its wording. With `put_off`, the next block
        takes no more cues, and the one after it is the first that can.
        """
        first = max(self.committed + put_off, self._first_open)
        block = first if at_tick is None else max(first, self.grid.block_for(at_tick))
        amend = kind == "prompt" and (amends(label) if amend is None else amend)
        cue = Cue(number=self._numbers + 1, kind=kind, label=label, block=block, amend=amend, timed=at_tick is not None)
        state = cue.apply(self._queue.preview(self.state, block))
        state.check()
        coalesced = self._queue.add(cue)
        self._numbers = cue.number
        self._first_open = first
        return Accepted(
            cue=cue,
            tick=self.grid.first_tick(block),
            conditioning=Conditioning(prompt=state.prompt(), actions=self.input.actions),
            coalesced=coalesced,
        )

    def hold(self, values: Mapping[str, float], at_tick: int | None, who: object) -> AcceptedInput:
        """Take in an input. Without `at_tick` it is held at once; raises `Refused` if too many wait for later ticks."""
        block = self.committed if at_tick is None else max(self.committed, self.grid.block_for(at_tick))
        if block == self.committed:
            self.input.sample(block)  # those that came before it and are due, too
            self.input.hold(values, who)
        else:
            self.input.hold_later(block, values, who)
        return AcceptedInput(block=block, tick=self.grid.first_tick(block), axes=self.input.preview(block))

    def issue(self, *, late: bool = False) -> tuple[int, Conditioning | None]:
        """Return the next step's block, and its conditioning if that differs from the block before.

        With `late`, a new prompt's window is rebuilt after the block, if it `can_be_late`.
        """
        block = self.next_block
        if block == self.committed:
            conditioning = self._commit(block, late=late and self.can_be_late)
        else:
            conditioning = self._recovery.conditioning_of(block)
        self.running = block
        self.late = conditioning is not None and conditioning.late
        return block, conditioning

    @property
    def can_be_late(self) -> bool:
        """Whether the next block can show a new prompt before the window is rebuilt.

        It cannot if a cue has been brought ahead, or was asked for at its tick: such a cue makes the same frames in
        every mode and on every machine.
        """
        new = self.next_block == self.committed > 0
        return new and self._ahead is None and not self._queue.timed(self.committed)

    def wants_ahead(self) -> Conditioning | None:
        """Return what the generator should be brought under before the next block's step; None if it is already."""
        if self.running is not None or self.next_block != self.committed or not self._queue.due(self.committed):
            return None
        wanted = Conditioning(
            prompt=self._queue.preview(self.state, self.committed).prompt(), actions=self.input.actions
        )
        return wanted if wanted.prompt != (self._ahead or self._in_force).prompt else None

    def cue_ahead(self, conditioning: Conditioning) -> None:
        """The generator is being brought under this conditioning."""
        self._ahead = conditioning
        if conditioning.prompt != self._in_force.prompt:
            self._via = conditioning.prompt

    @property
    def is_ahead(self) -> bool:
        """Whether the generator is under another conditioning than the last step's."""
        return self._ahead is not None

    @property
    def expected(self) -> int | None:
        """The block whose frames arrive next, or None."""
        return self.awaiting_decode[0] if self.awaiting_decode else self.running

    @property
    def frames_awaiting_decode(self) -> int:
        """Frames that are still being decoded and will be shown."""
        return sum(self.grid.length(block) for block in self.awaiting_decode if block >= self.made)

    def denoised(self) -> None:
        """The running step is done, and its frames follow."""
        if self.running is not None:
            self.awaiting_decode.append(self.running)
            self.next_block = self.running + 1
            self.running = None

    def done(self, block: int) -> MadeBlock | None:
        """The frames of the expected block are here; return None if the block only repeats an earlier one."""
        if self.awaiting_decode:
            self.awaiting_decode.remove(block)
        else:
            self.running = None
            self.next_block = block + 1
        if block < self.made:
            return None
        self.made = block + 1
        cues = self._cues_at.pop(block, [])
        if cues:
            self._last_cue = cues[-1].number
        return MadeBlock(
            block=block,
            first_tick=self.grid.first_tick(block),
            cues=cues,
            last_cue=self._last_cue,
            conditioning=self._recovery.conditioning_of(block),
        )

    def interrupted(self) -> None:
        """Forget the blocks that were requested: they will not arrive."""
        self.running, self.late = None, False
        self.awaiting_decode.clear()
        self._ahead = self._via = None

    def go_back(self) -> RestorePoint:
        """Go back to the restore point and return it."""
        self.interrupted()
        self.next_block = self._recovery.point.block
        return self._recovery.point

    @property
    def restore_point(self) -> RestorePoint:
        """Where the take would go on after a loss."""
        return self._recovery.point

    def snapshot_due(self, now: float, intervals: int = 1) -> bool:
        """Whether it is time for a new snapshot, that many intervals after the last one."""
        return self._recovery.due(now, self.made, intervals)

    def snapshot_asked(self, now: float) -> None:
        """A snapshot was requested."""
        self._recovery.asked(now)

    def snapshot_saved(self, block: int, snapshot: bytes) -> None:
        """Make a snapshot the new restore point."""
        self._recovery.saved(block, snapshot)

    def reset(self) -> None:
        """Start a new take under the prompt asked for last. Cues for later ticks of the old take are dropped."""
        self.state = self.asked
        self.input.sample(self.committed)
        self.input.reset()
        self._in_force = self.conditioning
        self._queue = CueQueue()
        self._cues_at.clear()
        self._recovery = Recovery(every_s=self._every_s)
        self.next_block = self.committed = self.made = self._last_cue = self._first_open = 0
        self.interrupted()

    def _commit(self, block: int, *, late: bool) -> Conditioning | None:
        """Fix the conditioning of a new block; return None if nothing changes."""
        cues = [replace(cue, block=block) for cue in self._queue.take(block)]
        for cue in cues:
            self.state = cue.apply(self.state)
        if cues:
            self._cues_at[block] = cues
        self.committed = block + 1
        self.input.sample(block)
        after = self.conditioning
        changed = after if after != self._in_force or self._ahead is not None else None
        if changed is not None and late and after.prompt != self._in_force.prompt:
            changed = msgspec.structs.replace(changed, late=True)
        # A replay has to do what was done here, the detour over a prompt that was taken back included.
        detour = self._via if after.prompt == self._in_force.prompt else None
        self._in_force, self._ahead, self._via = after, None, None
        self._recovery.issued(block, msgspec.structs.replace(changed, via=detour) if changed else None)
        return changed
