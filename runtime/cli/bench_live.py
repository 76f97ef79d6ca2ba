"""Measure a whole live session from the outside: server, generator and client are three processes over loopback.

The client subscribes to every frame and sends an event or a prompt every few seconds. Counting starts at the first
frame shown. A cue's latency ends when the client has decoded its first picture; a window would add the time to draw.
"""

import random
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

from longtake.clients.session import Session, World
from longtake.protocol.errors import LongtakeError
from longtake.protocol.messages import Ack, InputAck, Status
from longtake.runtime.world.statistics import Rolling
from longtake.scenarios.schema import Scenario

FIRST_FRAME_S = 120.0
LAST_CUE_S = 2.0
"""no cue is sent this close to the end, so that every cue is seen"""
STATUS_WITHIN_S = 5.0

Progress = Callable[[int, int], None]
"""called with (seconds measured, seconds in all)"""


@dataclass(frozen=True, kw_only=True)
class LiveConfig:
    """What is measured."""

    seconds: float
    cue_every_s: float = 5.0
    input_every_s: float = 0.7
    """for a model with axes"""
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Percentiles in milliseconds; None if nothing was measured."""

    p50: float | None
    p95: float | None
    max: float | None
    count: int

    @classmethod
    def of(cls, values_ms: Sequence[float]) -> "Spread":
        """Percentiles, nearest rank."""
        rolling = Rolling(max(1, len(values_ms)))
        for value in values_ms:
            rolling.add(value)
        return cls(
            p50=rolling.percentile(50),
            p95=rolling.percentile(95),
            max=max(values_ms, default=None),
            count=len(values_ms),
        )


@dataclass(frozen=True, kw_only=True)
class LiveResult:
    """What was measured."""

    model: str
    device: str
    precision: str
    seconds: float
    """between the first and the last frame shown"""
    fps: float
    """frames shown a second, not counting held ones"""
    frames_shown: int
    frames_held: int
    """deadlines at which the last frame was repeated"""
    deadlines_skipped: int
    """deadlines missed by the server's loop itself"""
    tick_jitter_ms: Spread
    """how far from an even grid frames are published"""
    event_to_photon_ms: Spread
    """from sending a cue to having its first picture decoded"""
    input_to_photon_ms: Spread
    """the same of inputs; empty for a model without axes"""
    cues: int
    block_ms: float
    """median, as the server reports it"""
    recache_ms: float
    lead_frames: int
    """frames the server keeps ready"""


@dataclass(kw_only=True)
class SentCue:
    """A cue on its way to the screen."""

    sent: float
    answer: "Future[Ack]"


@dataclass(kw_only=True)
class Watched:
    """What the client saw."""

    published: list[float] = field(default_factory=list)
    """the server's time of every frame, held ones included"""
    shown_at: list[float] = field(default_factory=list)
    """the client's time of every frame that was not held"""
    held: int = 0
    latencies_ms: list[float] = field(default_factory=list)
    """of cues"""
    input_latencies_ms: list[float] = field(default_factory=list)


def bench_live(
    endpoint: str, scenario: Scenario, config: LiveConfig, *, progress: Progress = lambda done, total: None
) -> LiveResult:
    """Open a live world of the scenario at a server and measure it. Raises LongtakeError."""
    with Session.connect(endpoint, client="longtake-bench") as session:
        world = session.open(
            scenario.model, script=scenario.script(), seed=config.seed, mode="live", delivery="every", paused=True
        )
        driver = Driver(world, scenario, config)
        world.resume()
        watched = driver.watch(progress)
        result = figures_of(world, driver, watched)
        world.close()
    return result


def figures_of(world: World, driver: "Driver", watched: Watched) -> LiveResult:
    """Pause a world that was watched, and return its figures."""
    status, model = final_status(world), world.info.model
    elapsed = watched.shown_at[-1] - watched.shown_at[0]
    shown = len(watched.shown_at)
    return LiveResult(
        model=model.name,
        device=model.device,
        precision=model.precision,
        seconds=elapsed,
        fps=(shown - 1) / elapsed if elapsed > 0 else 0.0,
        frames_shown=shown,
        frames_held=watched.held,
        deadlines_skipped=status.skipped,
        tick_jitter_ms=Spread.of(jitter_ms(watched.published, model.fps)),
        event_to_photon_ms=Spread.of(watched.latencies_ms),
        input_to_photon_ms=Spread.of(watched.input_latencies_ms),
        cues=driver.sent,
        block_ms=status.block_ms,
        recache_ms=status.recache_ms,
        lead_frames=status.lead_target,
    )


def final_status(world: World) -> Status:
    """Pause the world, and return the status that confirms it."""
    world.pause()
    world.wait(lambda w: w.status is not None and w.status.paused, "the world's last status", STATUS_WITHIN_S)
    assert world.status is not None
    return world.status


def jitter_ms(published: Sequence[float], fps: int) -> list[float]:
    """Return how far each frame is from the nearest point of an even grid through their median, in milliseconds."""
    if len(published) < 3:
        return []
    phases = [((at - published[0]) * fps + 0.5) % 1.0 - 0.5 for at in published]
    middle = sorted(phases)[len(phases) // 2]
    return [abs(phase - middle) * 1000 / fps for phase in phases]


class Hand:
    """Moves the sticks of a world now and then, and sees when the picture follows. One input is under way at a time."""

    def __init__(self, world: World, config: LiveConfig) -> None:
        self._world = world
        self.sticks = [axis for axis in world.info.model.axes if not axis.button]
        self._every_s = config.input_every_s
        self._rng = random.Random(config.seed + 1)
        self._under_way: tuple[float, Future[InputAck]] | None = None
        self._next_at: float | None = None

    def move(self, now: float) -> None:
        """Move a stick if it is time; called again and again. Raises LongtakeError."""
        if self._under_way is not None:
            return
        if self._next_at is not None and now >= self._next_at:
            axis = self._rng.choice(self.sticks)
            value = self._rng.choice([axis.low, 0.0, axis.high])
            self._under_way = now, self._world.ask_input({axis.name: value})
            self._next_at = None
        elif self._next_at is None:
            # at no particular moment of the block
            self._next_at = now + self._every_s * self._rng.uniform(0.5, 1.5)

    def arrived(self, tick: int, now: float) -> list[float]:
        """A picture is here: return the latency of the input that it is the first to show, in milliseconds."""
        if self._under_way is None or not self._under_way[1].done():
            return []
        sent, answer = self._under_way
        if tick < answer.result().tick:
            return []
        self._under_way = None
        latency_ms = (now - sent) * 1000
        self._world.displayed(None, latency_ms)
        return [latency_ms]


class Driver:
    """Sends cues from one thread while another watches, because a person presses keys at any time."""

    def __init__(self, world: World, scenario: Scenario, config: LiveConfig) -> None:
        self.sent = 0
        """cues sent"""
        self._world = world
        self._events = list(scenario.events)
        self._prompts = [scenario.title or scenario.name, *(m.prompt for m in scenario.timeline if m.prompt)]
        self._config = config
        self._rng = random.Random(config.seed)
        self._hand = Hand(world, config)
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._under_way: list[SentCue] = []
        self._failure: LongtakeError | None = None

    def watch(self, progress: Progress) -> Watched:
        """Take pictures until the time is up. Raises LongtakeError."""
        watched = Watched()
        sender = threading.Thread(target=self._send_cues, name="bench-cues", daemon=True)
        mover = threading.Thread(target=self._move, name="bench-inputs", daemon=True)
        try:
            while not watched.shown_at or watched.shown_at[-1] - watched.shown_at[0] < self._config.seconds:
                picture = self._world.next_picture(FIRST_FRAME_S)
                now = time.perf_counter()
                if picture.header.held:
                    watched.held += bool(watched.shown_at)
                    continue
                if not watched.shown_at:
                    sender.start()
                    if self._hand.sticks:
                        mover.start()
                watched.published.append(picture.header.published)
                watched.shown_at.append(now)
                watched.latencies_ms += self._arrived(picture.header.cue, now)
                with self._lock:
                    watched.input_latencies_ms += self._hand.arrived(picture.header.tick, now)
                progress(round(now - watched.shown_at[0]), round(self._config.seconds))
                if self._failure is not None:
                    raise self._failure
        finally:
            self._stop.set()
            for thread in (sender, mover):
                if thread.is_alive():
                    thread.join()
        return watched

    def _move(self) -> None:
        """Move the sticks, as a person does beside pressing keys."""
        while not self._stop.wait(0.005):
            try:
                with self._lock:
                    self._hand.move(time.perf_counter())
            except LongtakeError as error:
                self._failure = error
                return

    def _send_cues(self) -> None:
        """Send a cue every few seconds, at no particular moment of the tick."""
        for number in range(int(max(0.0, self._config.seconds - LAST_CUE_S) / self._config.cue_every_s)):
            if self._stop.wait(self._config.cue_every_s + self._rng.uniform(-0.2, 0.2)):
                return
            try:
                with self._lock:
                    self._under_way.append(SentCue(sent=time.perf_counter(), answer=self._send(number)))
                    self.sent += 1
            except LongtakeError as error:
                self._failure = error
                return

    def _send(self, number: int) -> "Future[Ack]":
        if self._events:
            # a step through the events that does not keep to one slot
            return self._world.event(self._events[(number * 5 + 1) % len(self._events)], wait=False)
        return self._world.prompt(self._prompts[number % len(self._prompts)], wait=False)

    def _arrived(self, cue: int, now: float) -> list[float]:
        """Return the latencies of the cues whose first picture is here. Raises the server's error if it refused one."""
        seen, waiting = [], []
        with self._lock:
            for sent in self._under_way:
                if sent.answer.done() and sent.answer.result().cue <= cue:
                    seen.append((now - sent.sent) * 1000)
                    self._world.displayed(sent.answer.result().cue, seen[-1])
                else:
                    waiting.append(sent)
            self._under_way = waiting
        return seen
