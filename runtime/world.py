"""One running take on the server's side, without any input or output of its own.

The shell calls it with explicit `now` and carries out the `effects` it leaves behind. It decides which step the
generator makes next and under which prompt, what is shown when, and what the world's members are told.

    world.open(requester)                   # effects: Command(GenOpen)
    world.command_done(GenDone(...), now)   # effects: Answer(Joined)
    if world.wants_turn(now): send(world.next_command(now))
    world.block_made(GenBlock(...), pixels, now)
    while world.service(now): carry out world.effects
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from longtake.protocol.errors import ERROR_CODES, Refused
from longtake.protocol.generator_messages import (
    GenBlock,
    GenClose,
    GenDone,
    GenEncode,
    GenError,
    GenOpen,
    GenRestore,
    GenSaved,
    GenSnapshot,
    GenStep,
)
from longtake.protocol.messages import (
    Ack,
    Done,
    Error,
    Joined,
    Mode,
    ModelInfo,
    Role,
    Script,
    Status,
)
from longtake.runtime.chronicle import Chronicle
from longtake.runtime.effects import Answer, Command, DropWaiting, Effect, Publish, Record, Requester
from longtake.runtime.encoding import pictures_of_block
from longtake.runtime.lead import Lead, LeadConfig
from longtake.runtime.playback import Playback, Shown
from longtake.runtime.prompt_state import PromptState
from longtake.runtime.statistics import Rolling
from longtake.runtime.steps import Steps
from longtake.runtime.take import FORMAT, TakeCut, TakeHeader, TakeReset, TakeRestore

log = logging.getLogger(__name__)
MAX_FAILURES = 3
"""failed steps in a row after which a world is closed"""

Phase = Literal["opening", "ready", "lost", "restoring", "closed"]


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
    versions: tuple[tuple[str, str], ...] = ()


class World:
    """See the module's docstring. Methods called for a client raise `Refused` when they may not be carried out."""

    def __init__(self, config: WorldConfig) -> None:
        """Raises `Refused` if the script is bad or the model lacks what is asked for."""
        if config.readings and "reading" not in config.model.capabilities:
            raise Refused("no_capability", f"{config.model.name} has no probe to read its pictures with")
        self.config = config
        self.model = config.model
        self.seed = config.seed
        self.generation = 0
        self.phase: Phase = "opening"
        self.effects: list[Effect] = []
        self.gate: Callable[[], bool] = lambda: True
        """whether everybody for whom nothing may be dropped can take a frame; asked in lockstep and offline"""
        self.sharing = 1
        """running worlds that take turns on the generator, this one included"""
        self.changed = False
        """members should get a status now; the shell clears it"""
        self.lead = Lead(config.model, config.lead)
        self.photon_ms = Rolling(64)
        state = PromptState.start(config.script, config.prompt)
        self.steps = Steps(model=config.model, state=state, snapshot_every_s=config.snapshot_every_s)
        self.playback = Playback(fps=config.model.fps, mode=config.mode, paused=config.paused)
        self.chronicle = Chronicle(world=config.name, effects=self.effects, header=self._header())
        self._opener: Requester | None = None
        self._asked_at = 0.0
        self._cut_block: int | None = None
        self._published = 0
        self._failures = 0
        self._lost_told = False

    # --- the generator's side ------------------------------------------------------------------------------

    def open(self, opener: Requester | None) -> None:
        """Ask the generator to open the world; the opener gets `joined` when that is done."""
        self._opener = opener
        self._command_open()

    def command_done(self, message: GenDone, now: float) -> None:
        """The generator has opened or restored the world."""
        if message.generation != self.generation or self.phase not in ("opening", "restoring"):
            return
        self.phase = "ready"
        if self._opener is not None:
            self.effects.append(Answer(to=self._opener, message=self.joined(self._opener.request, "director")))
            self._opener = None
        self._tell_back()

    def wants_turn(self, now: float) -> bool:
        """Whether the generator should do something for this world."""
        if self.phase != "ready" or self.steps.running is not None:
            return False
        return self._wants_step() or self._wants_snapshot(now)

    def next_command(self, now: float) -> GenStep | GenSnapshot:
        """Return what the generator shall do; call it only when `wants_turn`."""
        self._asked_at = now
        if self._wants_snapshot(now):
            self.steps.recovery.asked(now)
            return GenSnapshot(world=self.config.name, generation=self.generation)
        block, prompt = self.steps.issue()
        return GenStep(world=self.config.name, generation=self.generation, block=block, prompt=prompt)

    def block_made(self, message: GenBlock, pixels: memoryview, now: float) -> None:
        """Take a block in. One of an older generation, or that was not asked for, is dropped."""
        if message.generation != self.generation or message.block != self.steps.running:
            return
        wrong = self._wrong_shape(message)
        if wrong:
            self.close(wrong)
            return
        recache_s = message.timings_ms.get("recache", 0.0) / 1000
        self.lead.observe(block_s=max(0.0, now - self._asked_at - recache_s), recache_s=recache_s)
        made = self.steps.done(message.block)
        self._tell_back()
        if made is None:
            return
        self._failures = 0
        self.chronicle.block(made, message)
        if self._cut_block == made.block:
            self._cut(made.first_tick)
        pictures = pictures_of_block(
            pixels,
            frames=message.frames,
            height=message.height,
            width=message.width,
            first_tick=made.first_tick,
            block=made.block,
            cue=made.last_cue,
        )
        self.playback.add(pictures, now)

    def saved(self, message: GenSaved, snapshot: bytes) -> None:
        """Take a snapshot in."""
        if message.generation == self.generation and message.block == self.steps.next_block:
            self.steps.recovery.saved(message.block, snapshot)

    def failed(self, message: GenError, now: float) -> None:
        """A command failed in a generator that lives on: go back to the restore point, or give the world up."""
        if message.generation != self.generation:
            return
        self._failures += 1
        if (self.phase == "opening" and self.steps.made == 0) or self._failures >= MAX_FAILURES:
            self._give_up(message)
        elif self.phase == "restoring":
            self._begin_again(f"its snapshot could not be restored ({message.message})")
        else:
            self._restore(now)

    def generator_lost(self, now: float) -> None:
        """The generator is gone. Go on showing the last frame until `generator_back`."""
        if self.phase == "closed":
            return
        if self.steps.running is not None:
            self._failures += 1
            if self._failures >= MAX_FAILURES:
                self.close("the generator died at the same block of this world again and again")
                return
        self.steps.interrupted()
        if self.phase != "opening":
            self.phase = "lost"
        if not self._lost_told:
            self._lost_told = True
            self.notice("generator_lost", "the generator stopped; a new one is being started")

    def generator_back(self, now: float) -> None:
        """A new generator is ready: bring the world back in it."""
        if self.phase == "opening":
            self._command_open()
        elif self.phase == "lost":
            self._restore(now)

    # --- the clock's side ----------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When `service` is next due in live mode."""
        return None if self.phase == "closed" else self.playback.deadline

    def service(self, now: float) -> bool:
        """Show at most one frame if it is time; return whether one was shown (then call again)."""
        if self.phase == "closed" or (self.config.mode != "live" and not self.gate()):
            return False
        shown = self.playback.show(now)
        if shown is not None:
            self._publish(shown)
        self._finish_runs()
        return shown is not None

    # --- the clients' side ---------------------------------------------------------------------------------

    def cue(
        self, kind: Literal["prompt", "event"], label: str, *, at_tick: int | None, cut_in: bool, request: int
    ) -> Ack:
        """Accept a prompt or an event; the answer says where it takes effect."""
        if cut_in and self.config.mode != "live":
            raise Refused("wrong_mode", "a cut-in cue needs a live world; elsewhere nothing waits to be shown")
        accepted = self.steps.accept(kind, label, at_tick)
        if cut_in:
            self._cut_block = accepted.cue.block
        self.effects.append(Command(message=GenEncode(model=self.model.name, prompt=accepted.prompt)))
        return Ack(
            request=request,
            world=self.config.name,
            generation=self.generation,
            cue=accepted.cue.number,
            block=accepted.cue.block,
            tick=accepted.tick,
            prompt=accepted.prompt,
            coalesced=accepted.coalesced,
        )

    def pause(self) -> None:
        """Hold the world: its tick stands until `resume`."""
        self.playback.pause()
        self.changed = True

    def resume(self, now: float) -> None:
        """Let the world run on from where it stands."""
        self.playback.resume(now)
        self.changed = True

    def step(self, ticks: int | None, who: Requester, now: float) -> None:
        """Show `ticks` more frames (default one block) and pause; `done` follows when they were shown."""
        if self.config.mode != "lockstep":
            self.playback.pause()
        self.playback.run(ticks or self.model.block_frames, who, now)
        self.changed = True

    def advance(self, ticks: int | None, who: Requester, now: float) -> None:
        """Lockstep: show `ticks` frames (default one block) as they are made; `done` follows."""
        if self.config.mode != "lockstep":
            raise Refused("wrong_mode", f"advance needs a lockstep world; this one is {self.config.mode}: use step")
        self.playback.run(ticks or self.model.block_frames, who, now)

    def reset(self, seed: int | None, why: str = "") -> None:
        """Begin a new take under the prompt asked for last; everything of the old one is dropped."""
        self.generation += 1
        self.seed = self.seed if seed is None else seed
        self.steps.reset()
        self.playback.reset()
        self.effects.append(DropWaiting())
        self._drop_runs("wrong_mode", "the world was reset before the frames were shown")
        self._cut_block = None
        self.chronicle.begin(self._header())
        record = TakeReset(generation=self.generation, seed=self.seed, prompt=self.steps.state.prompt())
        self.effects.append(Record(record=record))
        self._command_open()
        self.notice("reset", why or f"a new take begins with seed {self.seed}")
        self.changed = True

    def close(self, text: str) -> None:
        """End the world and tell its members why."""
        if self.phase == "closed":
            return
        if self._opener is not None:
            error = Error(code="generator", message=text, request=self._opener.request)
            self.effects.append(Answer(to=self._opener, message=error))
            self._opener = None
        self._drop_runs("unknown_world", text)
        command = GenClose(world=self.config.name, generation=self.generation)
        self.effects.append(Command(message=command))
        self.notice("closed", text)
        self.phase = "closed"

    # --- reports -------------------------------------------------------------------------------------------

    def joined(self, request: int, role: Role, recording: str = "") -> Joined:
        """Return the state a client begins with."""
        return Joined(
            request=request,
            world=self.config.name,
            role=role,
            model=self.model,
            script=self.config.script,
            mode=self.config.mode,
            seed=self.seed,
            generation=self.generation,
            tick=self.playback.tick,
            block=self._shown_block,
            paused=self.playback.paused,
            prompt=self.steps.state.prompt(),
            timeline=self.chronicle.newest_marks(),
            recording=recording,
        )

    def status(
        self, now: float, *, members: int, recording: str, generator: Literal["ready", "starting", "lost"]
    ) -> Status:
        """Return the figures of the moment."""
        return Status(
            world=self.config.name,
            generation=self.generation,
            tick=self.playback.tick,
            block=self._shown_block,
            mode=self.config.mode,
            paused=self.playback.paused,
            fps=self.playback.fps(now),
            lead=self.playback.lead,
            lead_target=self.lead.target_frames(self.sharing),
            shown=self.playback.shown,
            held=self.playback.held,
            skipped=self.playback.skipped,
            block_ms=1000 * (self.lead.block_s.median() or 0.0),
            recache_ms=1000 * (self.lead.recache_s.median() or 0.0),
            tick_jitter_ms=self.playback.late_ms.percentile(99) or 0.0,
            event_to_photon_ms=self.photon_ms.median(),
            members=members,
            recording=recording,
            generator="lost" if self.stale and generator == "ready" else generator,
            prompt=self.steps.state.prompt(),
        )

    def load(self) -> float:
        """Return the part of the generator's time that the world takes in live mode; 0 before it is measured."""
        block_s = self.lead.block_s.median() or 0.0
        return block_s * self.model.fps / self.model.block_frames

    @property
    def stale(self) -> bool:
        """Whether the world's generator is gone, or has not caught up yet."""
        return self.phase in ("lost", "restoring") or self.steps.catching_up

    def done(self, request: int, detail: str = "") -> Done:
        """Return the answer to a request that was carried out."""
        return Done(
            request=request,
            world=self.config.name,
            tick=self.playback.tick,
            generation=self.generation,
            detail=detail,
        )

    # --- inside --------------------------------------------------------------------------------------------

    @property
    def _shown_block(self) -> int:
        return self.playback.last.block if self.playback.last is not None else 0

    def _wants_step(self) -> bool:
        """Whether the next block should be begun now: that is what bounds the lead."""
        if self.steps.catching_up or self._cut_block is not None:
            return True
        if self.config.mode == "lockstep":
            # only what was asked for, or where a cue takes effect would depend on the machine's speed
            return self.playback.lead < self.playback.asked
        if self.config.mode == "offline":
            return self.playback.running and self.playback.lead <= self.model.block_frames
        return self.playback.lead <= self.lead.target_frames(self.sharing)

    def _wants_snapshot(self, now: float) -> bool:
        """Between blocks, and only when no frame is urgent."""
        if "snapshot" not in self.model.capabilities or self.steps.catching_up:
            return False
        due = self.steps.recovery.due(now, self.steps.made)
        return due and (self.playback.lead > 0 or self.config.mode != "live")

    def _wrong_shape(self, message: GenBlock) -> str:
        """Return what is wrong with a block's announced shape, or nothing."""
        expected = (self.steps.grid.length(message.block), self.model.height, self.model.width)
        got = (message.frames, message.height, message.width)
        if got == expected:
            return ""
        return f"the generator made block {message.block} of {got} frames x height x width instead of {expected}"

    def _header(self) -> TakeHeader:
        return TakeHeader(
            format=FORMAT,
            world=self.config.name,
            model=self.model,
            seed=self.seed,
            prompt=self.steps.state.prompt(),
            script=self.config.script,
            mode=self.config.mode,
            generation=self.generation,
            threads=self.config.threads,
            versions=dict(self.config.versions),
        )

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
        self.effects.append(Command(message=command))

    def _restore(self, now: float) -> None:
        """Bring the world back in the generator, from its snapshot if there is one."""
        point = self.steps.recovery.point
        if point.snapshot is None and self.steps.made and "snapshot" not in self.model.capabilities:
            self._begin_again("the generator was lost and this model cannot save its worlds")
            return
        self.steps.go_back()
        if self.steps.made:
            record = TakeRestore(block=self.steps.made, source=point.block, kind=point.kind, snapshot=point.digest)
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
            self.effects.append(Command(message=command, part=point.snapshot))
        self.phase = "restoring"

    def _begin_again(self, why: str) -> None:
        log.warning("world %s begins again: %s", self.config.name, why)
        self.reset(None, why)

    def _give_up(self, message: GenError) -> None:
        """Close a world that the generator cannot make."""
        if self._opener is not None:
            code = message.code if message.code in ERROR_CODES else "generator"
            error = Error(code=code, message=message.message, request=self._opener.request)
            self.effects.append(Answer(to=self._opener, message=error))
            self._opener = None
        self.close(f"the generator failed: {message.message}")

    def _tell_back(self) -> None:
        if self._lost_told and self.phase == "ready" and not self.steps.catching_up:
            self._lost_told = False
            self.notice("generator_back", "the take goes on")

    def notice(
        self, kind: Literal["closed", "reset", "generator_lost", "generator_back", "recording"], text: str
    ) -> None:
        """Tell the members that something happened."""
        self.chronicle.notice(kind, text, generation=self.generation, tick=self.playback.tick)

    def _publish(self, shown: Shown) -> None:
        self.effects.append(
            Publish(
                picture=shown.picture,
                number=self._published,
                generation=self.generation,
                held=shown.held,
                stale=shown.held and self.stale,
            )
        )
        self._published += 1

    def _cut(self, first_tick: int) -> None:
        """Leave out what a cut-in cue would otherwise have to wait for."""
        self._cut_block = None
        tick = self.playback.tick
        if self.playback.cut(first_tick):
            self.chronicle.record(TakeCut(tick=tick, to_tick=first_tick))

    def _finish_runs(self) -> None:
        for run in self.playback.finished:
            self.effects.append(Answer(to=run.who, message=self.done(run.who.request)))
            self.changed = True
        self.playback.finished.clear()

    def _drop_runs(self, code: str, why: str) -> None:
        for run in self.playback.drop_runs():
            error = Error(code=code, message=why, request=run.who.request)
            self.effects.append(Answer(to=run.who, message=error))
