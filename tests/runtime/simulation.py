"""Live worlds and their generator in simulated time: nothing sleeps, and blocks and recaches take recorded times.

It stands in for the server's loop (`WorldTable.give_turns`, `WorldRoom.service`) and for the generator's worker.
"""

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

from fakes import FPS, FakeConfig, FakeModel
from stage import FakeClock

from longtake.protocol.generator_messages import (
    GenBlock,
    GenCue,
    GenCued,
    GenDone,
    GenOpen,
    GenSaved,
    GenSnapshot,
    GenStep,
    GenStepped,
)
from longtake.protocol.messages import Ack, Message
from longtake.runtime.world.config import WorldConfig
from longtake.runtime.world.effects import Command, Publish
from longtake.runtime.world.running_world import RunningWorld

TRAVEL_S = 0.001
"""of a message to the generator and of the answer, together with the server's loop"""
SAVE_S = 0.01


@dataclass(frozen=True, kw_only=True)
class Times:
    """How long the generator takes, s; each sequence is gone through again and again."""

    first_block: float
    blocks: Sequence[float]
    recaches: Sequence[float]
    clean_pass: float = 0.0
    """its share of a block: the frames leave before it; 0 if they are decoded beside it, which takes longer"""

    @property
    def clean_s(self) -> float:
        """How long the generator is taken up after the frames have left."""
        return self.clean_pass * median(self.blocks)


LONGLIVE = Times(
    first_block=3.1,
    blocks=(0.288, 0.29, 0.291, 0.287, 0.29, 0.289),
    recaches=(0.15, 0.149, 0.15),
    clean_pass=1 / 5,  # one of five passes; the decoder comes before it
)
FASTER = Times(first_block=2.0, blocks=(0.2, 0.199, 0.2, 0.198), recaches=(0.1, 0.099), clean_pass=1 / 5)
# A quiet EPYC with AVX-512, 2026-11-26: blocks of 93 ms and recaches of 86, and what single ones strayed to.
SLOWER_CPU = Times(
    first_block=0.3, blocks=(0.093, 0.09, 0.094, 0.101, 0.092, 0.113), recaches=(0.086, 0.09, 0.085), clean_pass=1 / 6
)
DIORAMA = Times(first_block=0.12, blocks=(0.036, 0.045, 0.041, 0.05, 0.038, 0.046, 0.051), recaches=(0.04, 0.042))


@dataclass(kw_only=True)
class Sent:
    """A cue on its way to the screen."""

    at: float
    world: int
    ack: Ack


@dataclass(kw_only=True)
class Simulation:
    """Runs until a time, and keeps what was shown."""

    times: Times
    worlds: int = 1
    block_frames: int = 12
    first_block_frames: int = 9
    axes: bool = False
    cut_in: bool = False
    late: bool = False
    """the model can recache after a new prompt's first block"""
    cue_every_s: float = 2.0
    """about; no cues for infinity"""
    first_cue_s: float = 15.0
    """not before this"""
    latencies_ms: list[float] = field(default_factory=list)
    acks: list[Ack] = field(default_factory=list)

    def __post_init__(self) -> None:
        config = FakeConfig(
            block_frames=self.block_frames,
            first_block_frames=self.first_block_frames,
            axes=self.axes,
            readings=False,
            late=self.late,
        )
        self.model = FakeModel(config=config).announced
        self.clock = FakeClock(0.0)
        self.rooms = [
            RunningWorld(WorldConfig(name=f"w{number}", model=self.model, prompt="a red balloon"))
            for number in range(self.worlds)
        ]
        self.shown: list[list[Publish]] = [[] for _ in self.rooms]
        self.sent: list[Sent] = []
        self.made_at: dict[tuple[str, int], float] = {}
        self.asked_at: dict[tuple[str, int], float] = {}
        self._held = {world.name: "a red balloon" for world in self.rooms}
        self._busy: tuple[float, Message] | None = None
        self._block_s = 0.0
        self._blocks = itertools.chain([self.times.first_block], itertools.cycle(self.times.blocks))
        self._recaches = itertools.cycle(self.times.recaches)
        self._cues = self._when()
        self._next_cue = next(self._cues)
        self._numbers = itertools.count(1)
        for world in self.rooms:
            world.open(None)
            world.effects.clear()
            world.command_done(GenDone(world=world.name, generation=0, command="gen_open"))

    @property
    def held(self) -> int:
        return sum(world.playback.held for world in self.rooms)

    def percentile(self, percent: float) -> float:
        """Of event to photon, ms."""
        ranked = sorted(self.latencies_ms)
        return ranked[min(len(ranked) - 1, int(percent / 100 * len(ranked)))]

    def run(self, seconds: float) -> "Simulation":
        """Run on, without new cues in the last three seconds."""
        while self.clock.time < seconds:
            self.turn(quiet=self.clock.time > seconds - 3)
        return self

    def turn(self, *, quiet: bool = False) -> None:
        """Go to the next thing that happens."""
        self.clock.time = max(self.clock.time, min(self._times(quiet)))
        now = self.clock.time
        if self._busy is not None and self._busy[0] <= now:
            _, command = self._busy
            self._busy = None
            self._answer(command)
        if not quiet and self._next_cue <= now:
            self.cue(next(self._numbers) % self.worlds)
            self._next_cue = next(self._cues)
        for number, world in enumerate(self.rooms):
            world.pacing.worlds_on_generator = self.worlds
            while world.service(now):
                self._carry_out(number)
            self._carry_out(number)
        if self._busy is None:
            self._give_turn()

    def cue(self, number: int, *, cut_in: bool | None = None) -> Ack:
        """Send a cue now."""
        world, now = self.rooms[number], self.clock.time
        cut_in = self.cut_in if cut_in is None else cut_in
        text = f"scene {len(self.acks)}"
        ack = world.cue("prompt", text, at_tick=None, cut_in=cut_in, request=1, now=now)
        self.acks.append(ack)
        self.sent.append(Sent(at=now, world=number, ack=ack))
        return ack

    def _times(self, quiet: bool) -> Iterator[float]:
        if self._busy is not None:
            yield self._busy[0]
        if not quiet:
            yield self._next_cue
        for world in self.rooms:
            times = (world.deadline, world.pacing.turn_at if self._busy is None else None)
            yield from (time for time in times if time is not None and time > self.clock.time)
        yield self.clock.time + 0.1

    def _when(self) -> Iterator[float]:
        """Return times at all moments of a block alike; a cut-in begins a new grid of blocks."""
        at, film_s = self.first_cue_s, self.block_frames / FPS
        blocks = math.inf if math.isinf(self.cue_every_s) else round(self.cue_every_s / film_s)
        for number in itertools.count(1):
            golden = 0.618034 * (number if self.cut_in else 1)
            at += (blocks + golden % 1) * film_s
            yield at

    def _give_turn(self) -> None:
        now = self.clock.time
        wanting = [world for world in self.rooms if world.wants_turn(now)]
        if wanting:
            world = min(wanting, key=lambda world: world.pacing.urgency(now))
            command = world.next_command(now)
            self._busy = now + TRAVEL_S + self._takes_s(command), command

    def _takes_s(self, command: Message) -> float:
        if isinstance(command, GenSnapshot):
            return SAVE_S
        assert isinstance(command, GenStep | GenCue)
        recache_s = 0.0
        if command.prompt is not None and command.prompt != self._held[command.world]:
            self._held[command.world] = command.prompt
            recache_s = next(self._recaches)
        self._recached_s = recache_s
        if isinstance(command, GenCue):
            return recache_s
        self.asked_at[command.world, command.block] = self.clock.time
        self._block_s = next(self._blocks)
        return (0 if command.late else recache_s) + self._block_s - self.times.clean_s

    def _answer(self, command: Message) -> None:
        assert isinstance(command, GenStep | GenStepped | GenCue | GenSnapshot)
        world = next(world for world in self.rooms if world.name == command.world)
        names = {"world": command.world, "generation": command.generation}
        if isinstance(command, GenSnapshot):
            world.saved(GenSaved(**names, block=world.plan.next_block, exact=False), b"saved")
        elif isinstance(command, GenStepped):
            world.denoised(command)
        elif isinstance(command, GenCue):
            world.cued(GenCued(**names, block=command.block, recache_ms=1000 * self._recached_s))
        else:
            self.made_at[command.world, command.block] = self.clock.time
            model, frames = self.model, world.plan.grid.length(command.block)
            message = GenBlock(
                **names,
                block=command.block,
                first_tick=world.plan.grid.first_tick(command.block),
                frames=frames,
                height=model.height,
                width=model.width,
                digest="00" * 16,
                timings_ms={"recache": 0.0 if command.late else 1000 * self._recached_s},
                stepped=self.times.clean_s > 0 or command.late,
            )
            world.block_made(message, memoryview(bytes(frames * model.height * model.width * 3)), self.clock.time)
            if message.stepped:
                after_s = self._recached_s if command.late else 0.0
                stepped = GenStepped(
                    **names, block=command.block, step_ms=1000 * self._block_s, recache_ms=1000 * after_s
                )
                self._busy = self.clock.time + self.times.clean_s + after_s, stepped

    def _carry_out(self, number: int) -> None:
        effects, self.rooms[number].effects[:] = list(self.rooms[number].effects), []
        for effect in effects:
            assert not (isinstance(effect, Command) and isinstance(effect.message, GenOpen)), "a world failed"
            if isinstance(effect, Publish):
                self.shown[number].append(effect)
                if not effect.held:
                    self._seen(number, effect.frame.tick)

    def _seen(self, number: int, tick: int) -> None:
        waiting = []
        for sent in self.sent:
            if sent.world == number and tick >= sent.ack.tick:
                self.latencies_ms.append(1000 * (self.clock.time - sent.at))
            else:
                waiting.append(sent)
        self.sent = waiting


FRAME_MS = 1000 / FPS
