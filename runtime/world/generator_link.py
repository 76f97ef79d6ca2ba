"""The generator's side of a world: opening it there, asking for its blocks, and bringing it back after a loss.

opening ──gen_done──> ready ──lost──> lost ──a new generator──> restoring ──gen_done──> ready
   └──────────────── failed for good, or closed by a client: closed <────────────────────┘
"""

import logging
from dataclasses import dataclass, field
from typing import Literal

from longtake.protocol.errors import ERROR_CODES
from longtake.protocol.generator_messages import (
    GenBlock,
    GenClose,
    GenDone,
    GenError,
    GenOpen,
    GenRestore,
    GenSaved,
    GenSnapshot,
    GenStep,
    GenStepped,
)
from longtake.protocol.messages import Error, Mode, ModelInfo, Script
from longtake.runtime.takes.file import FORMAT, TakeHeader, TakeReset, TakeRestore
from longtake.runtime.world.block_plan import BlockPlan, MadeBlock
from longtake.runtime.world.chronicle import Chronicle
from longtake.runtime.world.effects import Answer, Command, Effect, Requester
from longtake.runtime.world.lead import Lead, LeadConfig
from longtake.runtime.world.prompt_state import PromptState

log = logging.getLogger(__name__)
MAX_FAILURES = 3
"""failures in a row, without a new block in between, after which a world is closed"""

Phase = Literal["opening", "ready", "lost", "restoring", "closed"]
FailureAction = Literal["", "reset", "close"]
"""what the world has to do after a failure"""


@dataclass(frozen=True, kw_only=True)
class WorldConfig:
    """What a world is opened with."""

    name: str
    model: ModelInfo
    script: Script = field(default_factory=Script)
    prompt: str | None = None
    seed: int = 0
    mode: Mode = "live"
    paused: bool = False
    readings: bool = False
    snapshot_every_s: float = 5.0
    lead: LeadConfig = field(default_factory=LeadConfig)
    threads: int = 0
    """of the generator; for the take's header only"""
    options: tuple[tuple[str, str], ...] = ()
    """the model was loaded with; for the take's header only"""
    versions: tuple[tuple[str, str], ...] = ()


class GeneratorLink:
    """Where a world stands in its generator. Commands are appended to `effects`."""

    def __init__(self, config: WorldConfig, effects: list[Effect]) -> None:
        self.config = config
        self.model = config.model
        self.generation = 0
        self.seed = config.seed
        self.phase: Phase = "opening"
        self.lost_told = False
        """the members know that the generator was lost, and not yet that it is back"""
        self.lead = Lead(config.model, config.lead)
        state = PromptState.start(config.script, config.prompt)
        self.plan = BlockPlan(model=config.model, state=state, snapshot_every_s=config.snapshot_every_s)
        self.chronicle = Chronicle(world=config.name, effects=effects, header=self._header())
        self._effects = effects
        self._opener: Requester | None = None
        self._asked_at: dict[int, float] = {}
        """by block, until it is there"""
        self._failures = 0

    @property
    def behind(self) -> bool:
        """Whether the generator is gone, or is still making again what was made before it was lost."""
        return self.phase in ("lost", "restoring") or self.plan.catching_up

    @property
    def free(self) -> bool:
        """Whether the generator could be given something to do for this world: one block may still be decoded."""
        return self.phase == "ready" and self.plan.running is None and len(self.plan.awaiting_decode) < 2

    def open(self, opener: Requester | None = None) -> None:
        """Ask the generator to open the world; `opened` says when that is done."""
        self._opener = opener
        self._command_open()

    def opened(self, message: GenDone) -> Requester | None:
        """The generator has opened or restored the world; return who is to be told, the first time."""
        if message.generation != self.generation or self.phase not in ("opening", "restoring"):
            return None
        self.phase = "ready"
        opener, self._opener = self._opener, None
        return opener

    def wants_snapshot(self, now: float) -> bool:
        """Whether it is time to save the world."""
        if "snapshot" not in self.model.capabilities or self.plan.catching_up:
            return False
        return self.plan.recovery.due(now, self.plan.made)

    def ask_snapshot(self, now: float) -> GenSnapshot:
        """Return the command to save the world."""
        self.plan.recovery.asked(now)
        return GenSnapshot(world=self.config.name, generation=self.generation)

    def ask_step(self, now: float) -> GenStep:
        """Return the command for the next block; its prompt is fixed by this."""
        block, prompt = self.plan.issue()
        self._asked_at[block] = now
        return GenStep(world=self.config.name, generation=self.generation, block=block, prompt=prompt)

    def expects(self, message: GenBlock) -> bool:
        """Whether a block is the one that was asked for, and not left over from an older generation."""
        return message.generation == self.generation and message.block == self.plan.expected

    def denoised(self, message: GenStepped) -> None:
        """A step is done, and its frames follow. One that was not asked for is ignored."""
        if message.generation == self.generation and message.block == self.plan.running:
            self.plan.denoised()
            self.lead.turn_s.add(message.step_ms / 1000)

    def wrong_shape(self, message: GenBlock) -> str:
        """Return what is wrong with a block's shape, or nothing."""
        expected = (self.plan.grid.length(message.block), self.model.height, self.model.width)
        got = (message.frames, message.height, message.width)
        if got == expected:
            return ""
        return f"the generator made block {message.block} of {got} frames x height x width instead of {expected}"

    def block_made(self, message: GenBlock, now: float) -> MadeBlock | None:
        """Take an expected block in; None if it was made before and is only repeated after a restore."""
        recache_s = message.timings_ms.get("recache", 0.0) / 1000
        block_s = max(0.0, now - self._asked_at.pop(message.block, now) - recache_s)
        self.lead.observe(block_s=block_s, recache_s=recache_s)
        if message.block not in self.plan.awaiting_decode:
            self.lead.turn_s.add(block_s)
        made = self.plan.done(message.block)
        if made is not None:
            self._failures = 0
            self.chronicle.block(made, message)
        return made

    def saved(self, message: GenSaved, snapshot: bytes) -> None:
        """Take a snapshot in."""
        if message.generation == self.generation and message.block == self.plan.next_block:
            self.plan.recovery.saved(message.block, snapshot)

    def failed(self, message: GenError) -> FailureAction:
        """A command failed in a generator that lives on: go back to the restore point, or give up."""
        if message.generation != self.generation or self.phase == "closed":
            return ""
        if self.phase == "ready" and self.plan.expected is None:
            log.warning("world %s could not be saved: %s", self.config.name, message.message)
            return ""
        self._failures += 1
        if self.phase == "opening" or self._failures >= MAX_FAILURES:
            self._refuse_opener(message.code, message.message)
            return "close"
        if self.phase == "restoring":
            return "reset"
        return self._bring_back()

    def lost(self) -> FailureAction:
        """The generator is gone."""
        if self.phase == "closed":
            return ""
        if self.plan.expected is not None:
            self._failures += 1
            if self._failures >= MAX_FAILURES:
                return "close"
        self.plan.interrupted()
        if self.phase != "opening":
            self.phase = "lost"
        return ""

    def back(self) -> FailureAction:
        """A new generator is ready: bring the world back in it."""
        if self.phase == "opening":
            self._command_open()
        elif self.phase in ("lost", "restoring"):
            return self._bring_back()
        return ""

    def reset(self, seed: int | None) -> None:
        """Begin a new generation, under the prompt asked for last (`BlockPlan.asked`)."""
        self.generation += 1
        self.seed = self.seed if seed is None else seed
        self.plan.reset()
        self.chronicle.begin(self._header())
        prompt = self.plan.state.prompt()
        self.chronicle.only_write(TakeReset(generation=self.generation, seed=self.seed, prompt=prompt))
        self._command_open()

    def close(self, text: str) -> None:
        """Forget the world in the generator."""
        self._refuse_opener("generator", text)
        self._effects.append(Command(message=GenClose(world=self.config.name, generation=self.generation)))
        self.phase = "closed"

    def _bring_back(self) -> FailureAction:
        point = self.plan.recovery.point
        if point.snapshot is None and self.plan.made and "snapshot" not in self.model.capabilities:
            return "reset"
        self.plan.go_back()
        if self.plan.made:
            record = TakeRestore(block=self.plan.made, source=point.block, kind=point.kind, snapshot=point.digest)
            self.chronicle.record(record)
        if point.snapshot is None:
            self._command_open()
        else:
            command = GenRestore(
                world=self.config.name,
                generation=self.generation,
                model=self.model.name,
                readings=self.config.readings,
            )
            self._effects.append(Command(message=command, part=point.snapshot))
        self.phase = "restoring"
        return ""

    def _command_open(self) -> None:
        self.phase = "opening"
        command = GenOpen(
            world=self.config.name,
            generation=self.generation,
            model=self.model.name,
            seed=self.seed,
            prompt=self.chronicle.log.header.prompt,
            readings=self.config.readings,
        )
        self._effects.append(Command(message=command))

    def _refuse_opener(self, code: str, text: str) -> None:
        opener, self._opener = self._opener, None
        if opener is not None:
            known = code if code in ERROR_CODES else "generator"
            error = Error(code=known, message=text, request=opener.request)
            self._effects.append(Answer(to=opener, message=error))

    def _header(self) -> TakeHeader:
        return TakeHeader(
            format=FORMAT,
            world=self.config.name,
            model=self.model,
            seed=self.seed,
            prompt=self.plan.state.prompt(),
            script=self.config.script,
            mode=self.config.mode,
            generation=self.generation,
            threads=self.config.threads,
            options=dict(self.config.options),
            versions=dict(self.config.versions),
        )
