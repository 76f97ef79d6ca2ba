"""One running take on the server's side, without input or output of its own.

The server calls it with an explicit `now` and carries out the `effects` that it leaves behind. `GeneratorLink` gets
blocks made, `Playback` shows them, and this class connects the two.

    world.open(requester)                   # effects: Command(GenOpen)
    world.command_done(GenDone(...), now)   # effects: Answer(Joined)
    if world.wants_turn(now): send(world.next_command(now))
    world.block_made(GenBlock(...), pixels, now)
    while world.service(now): carry out world.effects
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

from longtake.protocol.axes import checked
from longtake.protocol.conditioning import fields
from longtake.protocol.errors import Refused
from longtake.protocol.generator_messages import (
    GenBlock,
    GenCue,
    GenCued,
    GenDone,
    GenEncode,
    GenError,
    GenSaved,
    GenSnapshot,
    GenStep,
    GenStepped,
)
from longtake.protocol.messages import (
    Ack,
    CueKind,
    Done,
    Error,
    InputAck,
)
from longtake.runtime.takes.file import TakeCut, TakeRecord
from longtake.runtime.world.block_plan import BlockPlan, MadeBlock
from longtake.runtime.world.chronicle import Chronicle
from longtake.runtime.world.config import WorldConfig
from longtake.runtime.world.effects import Answer, Command, DropWaiting, Effect, Publish, Requester
from longtake.runtime.world.failures import FailurePolicy
from longtake.runtime.world.generator_link import GeneratorLink, Phase
from longtake.runtime.world.lead import Lead
from longtake.runtime.world.outgoing_frame import frames_of_block
from longtake.runtime.world.pacing import Pacing
from longtake.runtime.world.playback import Playback, Shown
from longtake.runtime.world.prompt_state import PromptState
from longtake.runtime.world.reports import joined
from longtake.runtime.world.statistics import Rolling


class RunningWorld:
    """See the module's docstring. Methods called for a client raise `Refused` when they may not be carried out."""

    def __init__(self, config: WorldConfig) -> None:
        """Raises `Refused` if the script is bad or the model lacks what is asked for."""
        if config.readings and "reading" not in config.model.capabilities:
            raise Refused("no_capability", f"{config.model.name} has no probe to read its pictures with")
        self.config = config
        self.effects: list[Effect] = []
        self.may_show: Callable[[], bool] = lambda: True
        """True when every lossless subscriber has credit. Asked in lockstep and offline mode only."""
        self.changed = False
        """members should get a status now; the server clears it"""
        self.photon_ms = Rolling(64)
        """of cues, as clients report it"""
        self.input_photon_ms = Rolling(64)
        state = PromptState.start(config.script, config.prompt, config.labels_of)
        self.plan = BlockPlan(model=config.model, state=state, snapshot_every_s=config.snapshot_every_s)
        self.lead = Lead(config.model, config.lead)
        self.chronicle = Chronicle(config, self.effects, conditioning=self.plan.conditioning)
        self.link = GeneratorLink(
            config, plan=self.plan, lead=self.lead, chronicle=self.chronicle, effects=self.effects
        )
        self._failures = FailurePolicy(self, self.link)
        self.playback = Playback(fps=config.model.fps, mode=config.mode, paused=config.paused)
        self.pacing = Pacing(config, plan=self.plan, lead=self.lead, playback=self.playback, link=self.link)
        self._published = 0

    @property
    def name(self) -> str:
        """The world's name."""
        return self.config.name

    @property
    def phase(self) -> Phase:
        """The state of the world in its generator."""
        return self.link.phase

    @property
    def generation(self) -> int:
        """Counts the resets."""
        return self.link.generation

    @property
    def tick(self) -> int:
        """The tick of the next frame."""
        return self.playback.tick

    @property
    def running(self) -> bool:
        """Whether frames are to be shown now, so that the world needs its turns on the generator."""
        return self.playback.running

    @property
    def stale(self) -> bool:
        """Whether the generator is gone or has not caught up yet."""
        return self.link.behind

    # --- the generator's side ------------------------------------------------------------------------------

    def open(self, opener: Requester | None) -> None:
        """Ask the generator to open the world; the opener gets `joined` when that is done."""
        self.link.open(opener)

    def command_done(self, message: GenDone) -> None:
        """The generator has opened or restored the world."""
        opener = self.link.opened(message)
        if opener is not None:
            self.effects.append(Answer(to=opener, message=joined(self, opener.request, "director")))
        self._failures.tell_if_back()

    def wants_turn(self, now: float) -> bool:
        """Whether the generator has something to do for this world."""
        return self.pacing.wants(now) != ""

    def next_command(self, now: float) -> GenStep | GenCue | GenSnapshot:
        """Return the next command for the generator. Call it only if `wants_turn`."""
        want = self.pacing.wants(now)
        ahead = self.plan.wants_ahead() if want == "ahead" else None
        if ahead is not None:
            return self.link.ask_ahead(ahead, now)
        if want == "snapshot":
            return self.link.ask_snapshot(now)
        return self.link.ask_step(now, late=self.pacing.recaches_late(now))

    def cued(self, message: GenCued) -> None:
        """The world is under the next block's prompt, ahead of its step."""
        self.link.cued(message)

    def denoised(self, message: GenStepped) -> None:
        """The generator is done with a block's step; its frames are here, or still being decoded."""
        self.link.denoised(message)

    def block_made(self, message: GenBlock, pixels: memoryview, now: float) -> None:
        """Add a block. A block of an older generation, or one that was not requested, is dropped."""
        if not self.link.expects(message):
            return
        wrong = self.link.wrong_shape(message)
        if wrong:
            self.close(wrong)
            return
        made = self.link.block_made(message, now)
        if made is not None:
            self._failures.block_made()
        self._failures.tell_if_back()
        if made is None:
            return
        frames = frames_of_block(
            pixels,
            frames=message.frames,
            height=message.height,
            width=message.width,
            first_tick=made.first_tick,
            block=made.block,
            cue=made.last_cue,
        )
        self.playback.add(frames, now)
        if made.block in self.pacing.cut_blocks:
            self._cut(made, now)

    def saved(self, message: GenSaved, snapshot: bytes) -> None:
        """Keep a snapshot."""
        self.link.saved(message, snapshot)

    def failed(self, message: GenError) -> None:
        """A command failed in a generator that lives on."""
        self._failures.command_failed(message)

    def generator_lost(self) -> None:
        """The generator is gone: hold the last frame until `generator_back`."""
        self._failures.generator_lost()

    def generator_back(self) -> None:
        """A new generator is ready: bring the world back in it."""
        self._failures.generator_back()

    # --- the clock's side ----------------------------------------------------------------------------------

    @property
    def deadline(self) -> float | None:
        """When `service` is next due in live mode."""
        return None if self.phase == "closed" else self.playback.deadline

    def service(self, now: float) -> bool:
        """Show at most one frame if it is time; return whether one was shown (then call again)."""
        if self.phase == "closed" or (self.config.mode != "live" and not self.may_show()):
            return False
        shown = self.playback.show(now)
        if shown is not None:
            if shown.held and self.phase == "ready" and not self.plan.catching_up and self.plan.made:
                self.lead.held()
            self._publish(shown)
        self._finish_runs()
        return shown is not None

    # --- the clients' side ---------------------------------------------------------------------------------

    def cue(
        self,
        kind: CueKind,
        label: str,
        *,
        at_tick: int | None,
        cut_in: bool,
        request: int,
        amend: bool | None = None,
        now: float,
    ) -> Ack:
        """Accept a prompt or an event; the answer says where it takes effect."""
        live = self.config.mode == "live"
        definition = self.config.script.events.get(label) if kind == "event" else None
        if definition is not None and definition.cut_in and live and at_tick is None:
            cut_in = True
        if cut_in and not live:
            raise Refused("wrong_mode", "a cut-in cue needs a live world; elsewhere nothing waits to be shown")
        if cut_in and at_tick is not None:
            raise Refused("invalid", "cut_in asks for now and at_tick for later: send one of the two")
        put_off = not self.pacing.takes_cue(now, cut_in=cut_in)
        accepted = self.plan.accept(kind, label, at_tick, amend=amend, put_off=put_off)
        if cut_in:
            self.pacing.cut_blocks.add(accepted.cue.block)
        self.effects.append(Command(message=GenEncode(model=self.config.model.name, **fields(accepted.conditioning))))
        return Ack(
            request=request,
            world=self.name,
            generation=self.generation,
            cue=accepted.cue.number,
            block=accepted.cue.block,
            tick=accepted.tick,
            prompt=accepted.conditioning.prompt,
            coalesced=accepted.coalesced,
            understood=self.config.understand(accepted.conditioning.prompt),
        )

    def hold(self, axes: Mapping[str, float], *, at_tick: int | None, who: object, request: int) -> InputAck:
        """Hold axes at these values; the answer says which block samples them first."""
        accepted = self.plan.hold(checked(self.config.model, axes), at_tick, who)
        return InputAck(
            request=request,
            world=self.name,
            generation=self.generation,
            block=accepted.block,
            tick=accepted.tick,
            axes=accepted.axes,
        )

    def let_go(self, who: object) -> None:
        """A client leaves: put what it holds at rest."""
        self.plan.input.let_go(who)

    def pause(self) -> None:
        """Stop the world at its tick until `resume`."""
        self.playback.pause()
        self.changed = True

    def resume(self, now: float) -> None:
        """Let the world go on from its tick."""
        self.playback.resume(now)
        self.changed = True

    def step(self, ticks: int | None, who: Requester, now: float) -> None:
        """Show `ticks` more frames, then pause; `done` follows when they were shown. None: as many as a block has."""
        self.playback.require_room()
        if self.config.mode != "lockstep":
            self.playback.pause()
        self.playback.run(ticks or self._frames_of_a_block(), who, now)
        self.changed = True

    def advance(self, ticks: int | None, who: Requester, now: float) -> None:
        """Lockstep: show `ticks` frames as they are made; `done` follows. None: as many as a block has."""
        if self.config.mode != "lockstep":
            raise Refused("wrong_mode", f"advance needs a lockstep world; this one is {self.config.mode}: use step")
        self.playback.require_room()
        self.playback.run(ticks or self._frames_of_a_block(), who, now)

    def reset(self, seed: int | None, why: str = "") -> None:
        """Start a new take under the newest prompt. Cues for later ticks are dropped."""
        self.link.reset(seed)
        self.playback.reset()
        self.effects.append(DropWaiting())
        self._drop_runs("wrong_mode", "the world was reset before the frames were shown")
        self.pacing.cut_blocks.clear()
        self.notice("reset", why or f"a new take begins with seed {self.link.seed}")
        self.changed = True

    def close(self, text: str) -> None:
        """End the world and tell its members why."""
        if self.phase == "closed":
            return
        self._drop_runs("unknown_world", text)
        self.notice("closed", text)
        self.link.close(text)

    # --- reports -------------------------------------------------------------------------------------------

    def load(self) -> float:
        """Return the share of the generator's time that the world needs in live mode; 0 until it is measured."""
        turn_s = self.lead.turn_s.median() or 0.0
        return turn_s * self.config.model.fps / self.config.model.block_frames

    def notice(
        self, kind: Literal["closed", "reset", "generator_lost", "generator_back", "recording"], text: str
    ) -> None:
        """Tell the members that something happened."""
        self.chronicle.notice(kind, text, generation=self.generation, tick=self.tick)

    def records(self) -> Iterator[TakeRecord]:
        """Return the take so far, as a recording that begins now writes it."""
        return self.chronicle.records()

    @property
    def take_name(self) -> str:
        """What a recording that begins now is called, unless it is given a name."""
        script = self.config.script.name.lstrip(".") or "take"  # the name of no take begins with a dot
        return f"{script}-{self.link.seed}-{self.name}-{self.tick}"

    def done(self, request: int, detail: str = "") -> Done:
        """Return the answer to a request that was carried out."""
        return Done(
            request=request,
            world=self.name,
            tick=self.tick,
            generation=self.generation,
            detail=detail,
        )

    # --- inside --------------------------------------------------------------------------------------------

    def _frames_of_a_block(self) -> int:
        """Return how many frames the block has in which a new run begins."""
        begin = self.playback.tick + self.playback.asked
        return self.plan.grid.length(self.plan.grid.block_of(begin))

    def _publish(self, shown: Shown) -> None:
        self.effects.append(
            Publish(
                frame=shown.frame,
                number=self._published,
                generation=self.generation,
                held=shown.held,
                stale=shown.held and self.stale,
            )
        )
        self._published += 1

    def _cut(self, made: MadeBlock, now: float) -> None:
        """Drop the frames that a cut-in cue does not wait for."""
        self.pacing.cut_blocks.discard(made.block)
        tick = self.playback.tick
        if self.playback.cut(made.first_tick, now):
            self.chronicle.record(TakeCut(tick=tick, to_tick=made.first_tick))

    def _finish_runs(self) -> None:
        for run in self.playback.finished:
            self.effects.append(Answer(to=run.who, message=self.done(run.who.request)))
            # An agent advances a lockstep world far more often than a status is worth reading.
            self.changed = self.changed or self.config.mode != "lockstep"
        self.playback.finished.clear()

    def _drop_runs(self, code: str, why: str) -> None:
        for run in self.playback.drop_runs():
            error = Error(code=code, message=why, request=run.who.request)
            self.effects.append(Answer(to=run.who, message=error))
