"""A stage for one world of the fake model: its generator and its clock are in the test's hands, without any socket."""

from typing import Any

from fakes import FakeModel

from longtake.protocol.generator_messages import GenBlock, GenCued, GenDone, GenError, GenSaved, GenStepped
from longtake.protocol.messages import Ack, Message
from longtake.runtime.generator.worker import Worker
from longtake.runtime.takes.file import TakeBlock, TakeRecord
from longtake.runtime.world.config import WorldConfig
from longtake.runtime.world.effects import Answer, Command, Publish, Record, Requester, Tell
from longtake.runtime.world.running_world import RunningWorld


class FakeClock:
    """A clock that stands still until it is moved; sleeping moves it."""

    def __init__(self, now: float = 1000.0) -> None:
        self.time = now
        self.slept: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += seconds


class FakeGenerator:
    """Drives a `RunningWorld` without processes: carries its commands out on a `FakeModel`, when told to."""

    def __init__(self, model: FakeModel) -> None:
        self.model = model
        self.sent: list[tuple[Message, Any]] = []
        self.answers: list[tuple[Message, Any]] = []
        self.worker = Worker({model.name: model}, self._answer)

    def _answer(self, message: Message, part: Any = None) -> None:
        self.answers.append((message, memoryview(part).cast("B") if part is not None else None))


class Stage:
    """A world, a fake generator and a fake clock; what the world leaves behind is sorted into lists."""

    def __init__(self, *, model: FakeModel | None = None, decodes_beside: bool = False, **config: Any) -> None:
        """`decodes_beside`: a step is announced at once, and its frames are `decoding` until `decoded`."""
        self.clock = FakeClock()
        self.generator = FakeGenerator(model or FakeModel())
        config.setdefault("prompt", "a red balloon")
        self.world = RunningWorld(WorldConfig(name="w1", model=self.generator.model.announced, **config))
        self.shown: list[Publish] = []
        self.told: list[Message] = []
        self.answered: list[Message] = []
        self.records: list[TakeRecord] = []
        self.alive = True
        self.decodes_beside = decodes_beside
        self.decoding: list[tuple[Message, Any]] = []

    def open(self) -> "Stage":
        """Open the world in the generator."""
        self.world.open(Requester(client="me", request=1))
        self.work()
        return self

    def work(self) -> None:
        """Carry out commands and give turns until the world wants no more."""
        self.carry_out()
        while self.alive and self.world.wants_turn(self.clock.now()):
            self.command(self.world.next_command(self.clock.now()), None)

    def command(self, message: Message, part: Any) -> None:
        """Let the generator carry out one command and hand its answers over."""
        if not self.alive:
            return
        self.generator.sent.append((message, part))
        self.generator.worker.carry_out(message, part or b"")
        for answer, data in self.take_answers():
            if isinstance(answer, GenBlock) and self.decodes_beside:
                self.decoding.append((answer, data))
                fields = {name: getattr(answer, name) for name in ("world", "generation", "block")}
                self.deliver(GenStepped(**fields, step_ms=100.0), None)
                continue
            # as the worker does: nothing overtakes frames
            self.decoded(len(self.decoding))
            self.deliver(answer, data)
        self.carry_out()

    def decoded(self, blocks: int = 1) -> None:
        """Hand the frames of the oldest blocks that are being decoded over."""
        for answer, data in self.decoding[:blocks]:
            self.deliver(answer, data)
        del self.decoding[:blocks]

    def take_answers(self) -> list[tuple[Message, Any]]:
        answers, self.generator.answers = self.generator.answers, []
        return answers

    def deliver(self, message: Message, data: Any) -> None:
        """Hand one of the generator's messages to the world."""
        if isinstance(message, GenBlock):
            self.world.block_made(message, data, self.clock.now())
        elif isinstance(message, GenStepped):
            self.world.denoised(message)
        elif isinstance(message, GenCued):
            self.world.cued(message)
        elif isinstance(message, GenSaved):
            self.world.saved(message, bytes(data))
        elif isinstance(message, GenDone):
            self.world.command_done(message)
        elif isinstance(message, GenError):
            self.world.failed(message)

    def carry_out(self) -> None:
        """Sort the world's effects."""
        while self.world.effects:
            effects, self.world.effects[:] = list(self.world.effects), []
            for effect in effects:
                if isinstance(effect, Publish):
                    self.shown.append(effect)
                elif isinstance(effect, Tell):
                    self.told.append(effect.message)
                elif isinstance(effect, Answer):
                    self.answered.append(effect.message)
                elif isinstance(effect, Record):
                    self.records.append(effect.record)
                elif isinstance(effect, Command):
                    self.command(effect.message, effect.part)

    def show(self) -> None:
        """Show what is due now, then let the generator work."""
        while self.world.service(self.clock.now()):
            self.carry_out()
        self.carry_out()
        self.work()

    def run(self, ticks: int) -> None:
        """Go through that many deadlines, and the turns before them."""
        for _ in range(ticks):
            deadline = self.world.deadline
            assert deadline is not None, "nothing is scheduled"
            while (turn_at := self.world.pacing.turn_at) is not None and self.clock.time < turn_at < deadline:
                self.clock.time = turn_at
                self.work()
                if not self.alive:
                    break
            self.clock.time = max(self.clock.time, deadline)
            self.show()

    def advance(self, ticks: int) -> None:
        """Lockstep: show that many frames."""
        self.world.advance(ticks, Requester(client="me", request=2), self.clock.now())
        self.play_out()

    def play_out(self) -> None:
        """Show everything that runs still ask for, without a clock (lockstep)."""
        while self.alive and self.world.playback.asked:
            before = len(self.shown)
            self.work()
            self.show()
            assert len(self.shown) > before, "the world shows nothing more"

    @property
    def digests(self) -> list[str]:
        return [record.digest for record in self.world.chronicle.records() if isinstance(record, TakeBlock)]

    @property
    def ticks(self) -> list[int]:
        return [shown.frame.tick for shown in self.shown]

    def of(self, kind: type[Any]) -> list[Any]:
        """What members were told or clients were answered, of one kind."""
        return [message for message in self.told + self.answered if isinstance(message, kind)]

    def commands(self, kind: type[Any]) -> list[Any]:
        return [message for message, _ in self.generator.sent if isinstance(message, kind)]

    def die(self) -> None:
        """Lose the generator, with everything in it."""
        self.alive = False
        self.world.generator_lost()
        self.carry_out()

    def revive(self) -> None:
        """Start an empty generator."""
        self.generator.worker = Worker({self.generator.model.name: self.generator.model}, self.generator._answer)
        self.alive = True
        self.world.generator_back()
        self.work()


def say(stage: Stage, text: str) -> Ack:
    """Type a prompt now."""
    return stage.world.cue("prompt", text, at_tick=None, cut_in=False, request=2, now=stage.clock.now())
