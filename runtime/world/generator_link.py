"""The generator's side of a world: opens it there, asks for its blocks, and brings it back after a loss.

opening ──gen_done──> ready ──lost──> lost ──a new generator──> restoring ──gen_done──> ready
   └──────────────── failed for good, or closed by a client: closed <────────────────────┘
"""

from typing import Literal

from longtake.protocol.conditioning import Conditioning, fields, new_fields
from longtake.protocol.errors import ERROR_CODES
from longtake.protocol.generator_messages import (
    GenBlock,
    GenClose,
    GenCue,
    GenCued,
    GenDone,
    GenOpen,
    GenRestore,
    GenSaved,
    GenSnapshot,
    GenStep,
    GenStepped,
)
from longtake.protocol.messages import Error
from longtake.runtime.takes.file import TakeRestore
from longtake.runtime.world.block_plan import BlockPlan, MadeBlock
from longtake.runtime.world.chronicle import Chronicle
from longtake.runtime.world.config import WorldConfig
from longtake.runtime.world.effects import Answer, Command, Effect, Requester
from longtake.runtime.world.lead import Lead

MAX_AWAITING_DECODE = 2
"""blocks of one world whose frames may be decoded while the generator makes the next one"""

Phase = Literal["opening", "ready", "lost", "restoring", "closed"]


class GeneratorLink:
    """The state of one world in its generator. Commands are appended to `effects`."""

    def __init__(
        self, config: WorldConfig, *, plan: BlockPlan, lead: Lead, chronicle: Chronicle, effects: list[Effect]
    ) -> None:
        self.generation = 0
        """counts the resets"""
        self.seed = config.seed
        self.phase: Phase = "opening"
        self._config = config
        self._plan = plan
        self._lead = lead
        self._chronicle = chronicle
        self._effects = effects
        self._opener: Requester | None = None
        self._asked_at: dict[int, float] = {}
        """when each block was requested; kept until its frames arrive"""
        self.settling: int | None = None
        """the block whose frames are here, while the generator is not done with it; None if there is none"""
        self.cueing_since: float | None = None
        """when the generator was asked to bring the world under the next block's prompt; None if it is not at it"""

    @property
    def world(self) -> str:
        """The world's name."""
        return self._config.name

    @property
    def behind(self) -> bool:
        """Whether the generator is gone, or still repeats the blocks it made before it was lost."""
        return self.phase in ("lost", "restoring") or self._plan.catching_up

    @property
    def free(self) -> bool:
        """Whether the generator can take a command for this world. One earlier block may still be decoding."""
        waiting = len(self._plan.awaiting_decode)
        busy = self.making or self.cueing_since is not None
        return self.phase == "ready" and not busy and waiting < MAX_AWAITING_DECODE

    @property
    def making(self) -> bool:
        """Whether the generator is at work on a block; its frames may be here already."""
        return self._plan.running is not None or self.settling is not None

    @property
    def waits_for_block(self) -> bool:
        """Whether a requested block is not finished yet, or what it is to be made under is not in place."""
        return self.making or self._plan.expected is not None or self.cueing_since is not None

    @property
    def can_restore(self) -> bool:
        """Whether the take can go on after a loss: there is a snapshot, or the model can repeat the take."""
        can_save = "snapshot" in self._config.model.capabilities
        return can_save or self._plan.restore_point.snapshot is not None or not self._plan.made

    def open(self, opener: Requester | None = None) -> None:
        """Ask the generator to open the world; `opened` says when that is done."""
        self._opener = opener
        self.open_again()

    def open_again(self) -> None:
        """Ask again: the generator was lost before it opened the world, or a new take starts."""
        self.phase = "opening"
        command = GenOpen(
            world=self.world,
            generation=self.generation,
            model=self._config.model.name,
            seed=self.seed,
            **fields(self._chronicle.first_conditioning),
            readings=self._config.readings,
        )
        self._effects.append(Command(message=command))

    def opened(self, message: GenDone) -> Requester | None:
        """The generator has opened or restored the world; return who opened it, once."""
        if message.generation != self.generation or self.phase not in ("opening", "restoring"):
            return None
        self.phase = "ready"
        opener, self._opener = self._opener, None
        return opener

    def refuse_opener(self, code: str, text: str) -> None:
        """Tell whoever opened the world that it failed; does nothing once the world is open."""
        opener, self._opener = self._opener, None
        if opener is not None:
            known = code if code in ERROR_CODES else "generator"
            error = Error(code=known, message=text, request=opener.request)
            self._effects.append(Answer(to=opener, message=error))

    def wants_snapshot(self, now: float) -> bool:
        """Whether it is time to save the world."""
        if "snapshot" not in self._config.model.capabilities or self._plan.catching_up or self._plan.is_ahead:
            return False
        return self._plan.snapshot_due(now)

    def ask_snapshot(self, now: float) -> GenSnapshot:
        """Return the command to save the world."""
        self._plan.snapshot_asked(now)
        return GenSnapshot(world=self.world, generation=self.generation)

    def ask_ahead(self, conditioning: Conditioning, now: float) -> GenCue:
        """Return the command to bring the world under the next block's prompt."""
        self._plan.cue_ahead(conditioning)
        self.cueing_since = now
        return GenCue(world=self.world, generation=self.generation, block=self._plan.next_block, **fields(conditioning))

    def cued(self, message: GenCued) -> None:
        """The world is under the next block's prompt. An answer to an older question is ignored."""
        if message.generation == self.generation and self.cueing_since is not None:
            self.cueing_since = None
            self._lead.observe_recache(message.recache_ms / 1000)

    def ask_step(self, now: float, *, late: bool = False) -> GenStep:
        """Return the command for the next block; this fixes its conditioning. `late` as in `BlockPlan.issue`."""
        block, conditioning = self._plan.issue(late=late)
        self._asked_at[block] = now
        return GenStep(world=self.world, generation=self.generation, block=block, **new_fields(conditioning))

    def expects(self, message: GenBlock) -> bool:
        """Whether this is the requested block, and not one of an older generation."""
        return message.generation == self.generation and message.block == self._plan.expected

    def denoised(self, message: GenStepped) -> None:
        """The generator is done with a step, whose frames may follow. A step that was not requested is ignored."""
        if message.generation != self.generation or message.block not in (self._plan.running, self.settling):
            return
        if message.block == self._plan.running:
            self._plan.denoised()
        else:
            self.settling = None
        self._lead.turn_s.add(message.step_ms / 1000)
        self._lead.observe_recache(message.recache_ms / 1000)

    def wrong_shape(self, message: GenBlock) -> str:
        """Return what is wrong with a block's shape, or nothing."""
        model = self._config.model
        expected = (self._plan.grid.length(message.block), model.height, model.width)
        got = (message.frames, message.height, message.width)
        if got == expected:
            return ""
        return f"the generator made block {message.block} of {got} frames x height x width instead of {expected}"

    def block_made(self, message: GenBlock, now: float) -> MadeBlock | None:
        """Take in the expected block; return None if it only repeats a block after a restore."""
        recache_s = (message.timings_ms.get("recache", 0.0) - message.timings_ms.get("ahead", 0.0)) / 1000
        block_s = max(0.0, now - self._asked_at.pop(message.block, now) - recache_s)
        self._lead.observe(block_s=block_s, recache_s=recache_s)
        if message.block not in self._plan.awaiting_decode:
            if message.stepped:
                self.settling = message.block
            else:
                self._lead.turn_s.add(block_s)
        made = self._plan.done(message.block)
        if made is not None:
            self._chronicle.block(made, message)
        return made

    def saved(self, message: GenSaved, snapshot: bytes) -> None:
        """Keep a snapshot as the restore point."""
        if message.generation == self.generation and message.block == self._plan.next_block:
            self._plan.snapshot_saved(message.block, snapshot)

    def interrupted(self) -> None:
        """The generator is gone: requested blocks will not arrive."""
        self._plan.interrupted()
        self.settling = self.cueing_since = None
        if self.phase != "opening":
            self.phase = "lost"

    def restore(self) -> None:
        """Bring the world back from its restore point; `opened` says when that is done. Needs `can_restore`."""
        point = self._plan.go_back()
        self.settling = self.cueing_since = None
        if self._plan.made:
            record = TakeRestore(block=self._plan.made, source=point.block, kind=point.kind, snapshot=point.digest)
            self._chronicle.record(record)
        if point.snapshot is None:
            self.open_again()
        else:
            command = GenRestore(
                world=self.world,
                generation=self.generation,
                model=self._config.model.name,
                readings=self._config.readings,
            )
            self._effects.append(Command(message=command, part=point.snapshot))
        self.phase = "restoring"

    def reset(self, seed: int | None) -> None:
        """Begin a new generation, under the prompt asked for last (`BlockPlan.asked`)."""
        self.generation += 1
        self.seed = self.seed if seed is None else seed
        self._plan.reset()
        self.settling = self.cueing_since = None
        self._chronicle.begin(generation=self.generation, seed=self.seed, conditioning=self._plan.conditioning)
        self.open_again()

    def close(self, text: str) -> None:
        """Forget the world in the generator."""
        self.refuse_opener("generator", text)
        self._effects.append(Command(message=GenClose(world=self.world, generation=self.generation)))
        self.phase = "closed"
