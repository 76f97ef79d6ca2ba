"""The supervisor on a fake clock and a fake host: restarts, growing delays, and what only a person can put right."""

import msgspec
import pytest
import zmq
from fakes import FakeModel
from stage import FakeClock

from longtake.model.interface import ModelUnknown
from longtake.protocol.generator_messages import (
    FromGenerator,
    GenBlock,
    GenError,
    GenPing,
    GenReady,
    GenStep,
    GenStepped,
)
from longtake.protocol.wire import decode, encode
from longtake.runtime.generator.hosts import GeneratorHostConfig
from longtake.runtime.generator.supervisor import GeneratorFailed, Supervisor


class FakeHost:
    """Generators that are nothing but a socket the test speaks through."""

    transport = "inproc"

    def __init__(self, context: zmq.Context) -> None:
        self.context = context
        self.starts = 0
        self.running = False
        self.socket: zmq.Socket | None = None

    def start(self, endpoint: str) -> None:
        assert not self.running
        self.starts += 1
        self.running = True
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.connect(endpoint)

    def alive(self) -> bool:
        return self.running

    def end(self, patience_s: float) -> None:
        self.running = False
        if self.socket is not None:
            self.socket.close(0)
            self.socket = None

    def say(self, message: object) -> None:
        assert self.socket is not None
        self.socket.send(encode(message))


class Case:
    """A supervisor, its host and its clock."""

    def __init__(self, **config: float) -> None:
        self.context = zmq.Context()
        self.clock = FakeClock()
        self.host = FakeHost(self.context)
        full = GeneratorHostConfig(models=("fake",), factory="fakes:load", **config)
        self.supervisor = Supervisor(config=full, host=self.host, context=self.context, clock=self.clock)
        self.supervisor.start()

    def ready(self) -> None:
        self.host.say(GenReady(models=[FakeModel().announced], pid=1, threads=1))
        received = self.supervisor.receive()
        assert received is not None
        assert isinstance(received[0], GenReady)

    def lost(self) -> bool:
        return self.supervisor.watch() == "lost"

    def wait_s(self) -> float:
        """Seconds until the next generator is started."""
        starts, begun = self.host.starts, self.clock.time
        while self.host.starts == starts:
            assert self.supervisor.watch() == ""
            self.clock.time += 0.125
        return self.clock.time - 0.125 - begun


@pytest.fixture
def make():
    cases = []

    def begin(**config: float) -> Case:
        cases.append(Case(**config))
        return cases[-1]

    yield begin
    for case in cases:
        case.supervisor.stop()
        case.context.term()


def test_a_loss_is_reported_once_and_the_first_restart_is_immediate(make) -> None:
    case = make()
    case.ready()
    case.host.running = False
    assert case.lost()
    assert case.wait_s() == 0
    assert case.supervisor.state == "starting"
    assert case.supervisor.models, "clients can still be told what there is"


def test_restarts_come_slower_and_slower_until_it_stays_well(make) -> None:
    case = make()
    case.ready()
    delays = []
    for _ in range(9):
        case.host.running = False
        assert case.lost()
        delays.append(case.wait_s())
    assert delays == [0, 0.5, 1, 2, 4, 8, 16, 30, 30]
    case.ready()
    for _ in range(70):
        case.clock.time += 1
        assert not case.lost()
        case.host.say(GenPing(sent=0.0, reply=True))
        assert case.supervisor.receive() is None
    case.host.running = False
    assert case.lost()
    assert case.wait_s() == 0


def test_a_first_start_that_fails_says_why(make) -> None:
    case = make()
    case.host.say(GenError(world="", generation=0, code="generator", message="no weights", fatal=True))
    assert case.supervisor.receive() is None
    with pytest.raises(GeneratorFailed, match="no weights"):
        case.supervisor.watch()


def test_why_a_generator_ended_is_not_lost_when_its_end_is_noticed_first(make) -> None:
    case = make()
    case.host.say(GenError(world="", generation=0, code="generator", message="no weights", fatal=True))
    case.host.running = False
    assert not case.lost()
    assert case.supervisor.receive() is None
    with pytest.raises(GeneratorFailed, match="no weights"):
        case.supervisor.watch()


def test_a_first_start_that_takes_too_long_fails(make) -> None:
    case = make(loads_within_s=10.0)
    case.clock.time += 9
    assert not case.lost()
    case.clock.time += 2
    with pytest.raises(GeneratorFailed, match="not loaded within 10 s"):
        case.supervisor.watch()


def test_silence_and_endless_steps_are_losses(make) -> None:
    silent, stuck = make(silent_s=5.0), make(silent_s=1e9, step_within_s=20.0)
    for case in (silent, stuck):
        case.ready()
    stuck.supervisor.send(GenStep(world="w", generation=0, block=0))
    assert stuck.supervisor.busy
    for case, seconds in ((silent, 6), (stuck, 21)):
        case.clock.time += seconds - 2
        assert not case.lost()
        case.clock.time += 2.5
        assert case.lost()
        assert not case.supervisor.busy


def test_a_step_that_is_announced_ends_the_turn_and_its_frames_are_still_waited_for(make) -> None:
    case = make(silent_s=1e9, step_within_s=20.0)
    case.ready()
    case.supervisor.send(GenStep(world="w", generation=0, block=3))
    case.host.say(GenStepped(world="w", generation=0, block=2, step_ms=1.0))
    assert case.supervisor.receive() is not None
    assert case.supervisor.busy, "that was another block's"
    case.host.say(GenStepped(world="w", generation=0, block=3, step_ms=1.0))
    assert case.supervisor.receive() is not None
    assert not case.supervisor.busy
    case.clock.time += 15
    case.supervisor.send(GenStep(world="w", generation=0, block=4))
    case.host.say(block_of(3))
    assert case.supervisor.receive() is not None
    assert case.supervisor.busy, "the next one is being made"
    case.clock.time += 15
    assert not case.lost(), "it came in time"
    case.host.say(GenStepped(world="w", generation=0, block=4, step_ms=1.0))
    assert case.supervisor.receive() is not None
    case.clock.time += 6
    assert case.lost(), "its frames never came"


def test_a_step_whose_frames_come_first_ends_when_the_generator_is_free(make) -> None:
    case = make(silent_s=1e9, step_within_s=20.0)
    case.ready()
    for block in range(2):
        case.supervisor.send(GenStep(world="w", generation=0, block=block))
        case.host.say(msgspec.structs.replace(block_of(block), stepped=True))
        assert case.supervisor.receive() is not None
        assert case.supervisor.busy, "it is not done with the block"
        if block == 0:
            case.host.say(GenStepped(world="w", generation=0, block=block, step_ms=1.0))
            assert case.supervisor.receive() is not None
            assert not case.supervisor.busy
    case.clock.time += 19
    assert not case.lost()
    case.clock.time += 2
    assert case.lost(), "it never got done with the second one"


def test_frames_that_come_after_the_generator_is_free_do_not_end_the_next_turn(make) -> None:
    case = make(silent_s=1e9, step_within_s=20.0)
    case.ready()
    case.supervisor.send(GenStep(world="w", generation=0, block=0))
    case.host.say(GenStepped(world="w", generation=0, block=0, step_ms=1.0))
    assert case.supervisor.receive() is not None
    case.supervisor.send(GenStep(world="w", generation=0, block=1))
    case.host.say(msgspec.structs.replace(block_of(0), stepped=True))
    assert case.supervisor.receive() is not None
    assert case.supervisor.busy
    case.host.say(GenStepped(world="w", generation=0, block=1, step_ms=1.0))
    assert case.supervisor.receive() is not None
    assert not case.supervisor.busy
    case.host.say(msgspec.structs.replace(block_of(1), stepped=True))
    assert case.supervisor.receive() is not None
    case.clock.time += 100
    assert not case.lost(), "nothing is owed"


def block_of(block: int) -> GenBlock:
    return GenBlock(
        world="w",
        generation=0,
        block=block,
        first_tick=4 * block,
        frames=4,
        height=2,
        width=2,
        digest="",
        timings_ms={},
    )


def test_a_fatal_error_is_a_loss_and_an_ordinary_one_only_ends_the_turn(make) -> None:
    case = make()
    case.ready()
    case.supervisor.send(GenStep(world="w", generation=3, block=0))
    case.host.say(GenError(world="w", generation=2, code="generator", message="old", fatal=False))
    assert case.supervisor.receive() is not None
    assert case.supervisor.busy
    case.host.say(GenError(world="w", generation=3, code="generator", message="hiccup", fatal=False))
    assert case.supervisor.receive() is not None
    assert not case.supervisor.busy
    case.host.say(GenError(world="w", generation=3, code="generator", message="CUDA error", fatal=True))
    assert case.supervisor.receive() is None
    assert case.lost()


def test_it_pings_and_drops_commands_while_there_is_nobody(make) -> None:
    case = make()
    case.supervisor.send(GenStep(world="w", generation=0, block=0))
    assert not case.supervisor.busy
    case.ready()
    case.clock.time += 1.5
    assert not case.lost()
    assert case.host.socket is not None
    assert case.host.socket.poll(1000)
    assert isinstance(decode(case.host.socket.recv(), FromGenerator), GenPing)


def test_unknown_models_are_named_before_anything_starts() -> None:
    with pytest.raises(ModelUnknown, match="there are: diorama"):
        GeneratorHostConfig(models=("dioarma",))
