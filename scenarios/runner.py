"""Runs a scenario: sends its cues to a world and checks what it expects.

    report = run_scenario("default", "tcp://127.0.0.1:5570", mode="lockstep")
    print("\\n".join(report.lines()))

All cues are sent with their tick before the world starts, so that a run does not depend on the machine's speed.
"""

import hashlib
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import msgspec

from longtake.clients.session import Picture, Session, Transport, World
from longtake.protocol.axes import checked
from longtake.protocol.errors import Refused
from longtake.protocol.messages import Ack, Mode, ModelInfo, Reading
from longtake.scenarios.errors import ScenarioError
from longtake.scenarios.loading import load
from longtake.scenarios.report import Adherence, Check, CueReport, Report
from longtake.scenarios.schema import Scenario, TimedCue, TimedInput

SETTLE_S = 3.0
"""time that the picture has to follow a cue; blocks within it are not judged"""
RETRY_S = 0.25
"""wait between two attempts while the server takes no more cues"""
RECONNECT_S = 15.0
"""time to look for a lost server; a restarted one no longer has the world"""
RETRIES = 240
FIRST_FRAME_S = 120.0
"""the model may still be loading, and the first block takes longest"""
LATENCY_EVENTS = 3
"""events fired after the timeline to measure latency"""

Progress = Callable[[int, int], None]
"""called with the ticks shown and the ticks in all"""


def run_scenario(
    scenario: Scenario | str | Path,
    server: str | Transport,
    *,
    seconds: float | None = None,
    record: str | None = None,
    mode: Mode = "live",
    seed: int | None = None,
    progress: Progress | None = None,
) -> Report:
    """Run a scenario (a file, a name of the library, or a loaded one) at a server and return its report.

    `server` is an endpoint or a transport. `seconds` and `seed` override the scenario's; cues after
    `seconds` are left out. `record` names a take file. Rates and latencies are measured in live mode only. Raises
    ScenarioError and the session's LongtakeErrors.
    """
    loaded = scenario if isinstance(scenario, Scenario) else load(scenario)
    with Session.connect(server, client="longtake-run", reconnect_s=RECONNECT_S) as session:
        model = model_for(loaded, session.models)
        ticks = max(1, round((seconds or loaded.seconds) * model.fps))
        cues = [cue for cue in loaded.cues(model.fps) if cue.tick < ticks]
        inputs = [each for each in loaded.inputs(model.fps) if each.tick < ticks]
        world = session.open(
            loaded.model,
            seed=loaded.seed if seed is None else seed,
            script=loaded.script(),
            mode=mode,
            delivery="latest" if mode == "live" else "every",
            readings=bool(loaded.expect.adherence_min),
            paused=mode != "lockstep",
        )
        with world.closing():
            if record is not None:
                world.record_start(record)
            hold(world, inputs)
            run = _Run(loaded, world, ticks, mode)
            run.go(cues, progress)
            take_lost = "" if record is None else _stopped(world)
        return msgspec.structs.replace(run.report(), take_lost=take_lost)


def _stopped(world: World) -> str:
    """End the recording; return why the take is not whole, if it is not. What was run is not lost with it."""
    try:
        world.record_stop()
    except Refused as refused:
        return str(refused)
    return ""


def model_for(scenario: Scenario, models: Sequence[ModelInfo]) -> ModelInfo:
    """Return the server's model for a scenario. Raises ScenarioError if it is missing or cannot do what is asked."""
    model = next((model for model in models if model.name == scenario.model), None)
    if model is None:
        offered = ", ".join(model.name for model in models) or "none"
        raise ScenarioError(f"{scenario.name}: model: the server has no {scenario.model!r}; it has {offered}")
    if scenario.expect.adherence_min and "reading" not in model.capabilities:
        raise ScenarioError(
            f"{scenario.name}: expect.adherence_min: needs a model with the capability 'reading', which "
            f"{model.name} lacks; leave it out or use diorama"
        )
    check_inputs(scenario, model)
    return model


def check_inputs(scenario: Scenario, model: ModelInfo) -> None:
    """Raise ScenarioError if the timeline has an input that the model cannot take."""
    for index, moment in enumerate(scenario.timeline):
        try:
            if moment.input is not None:
                checked(model, moment.input)
        except Refused as error:
            raise ScenarioError(f"{scenario.name}: timeline[{index}].input: {error.message}") from None


def hold(world: World, inputs: Sequence[TimedInput]) -> None:
    """Send inputs with their ticks, in order. Raises `Refused` if the world's model cannot take one."""
    for each in inputs:
        world.input(each.axes, at_tick=each.tick)


def schedule(world: World, cues: Sequence[TimedCue]) -> list[Ack]:
    """Send cues with their ticks in order; wait whenever the server takes no more for the moment."""
    acks: list[Ack] = []
    for cue in cues:
        for attempt in range(RETRIES):
            try:
                if cue.kind == "event":
                    acks.append(world.event(cue.text, at_tick=cue.tick))
                else:
                    acks.append(world.prompt(cue.text, at_tick=cue.tick, amend=cue.amend))
                break
            except Refused as error:
                if not error.retryable or attempt == RETRIES - 1:
                    raise
                time.sleep(RETRY_S)
    return acks


class _Run:
    """A run in progress."""

    def __init__(self, scenario: Scenario, world: World, ticks: int, mode: Mode) -> None:
        self._scenario = scenario
        self._world = world
        self._ticks = ticks
        self._mode = mode
        self._cues: list[TimedCue] = []
        self._acks: list[Ack] = []
        self._digest = hashlib.sha256()
        self._wall_s = 0.0
        self._first_tick = 0
        self._latencies_ms: list[float] = []
        self._held = 0
        self._skipped = 0
        self._readings: list[Reading] = []

    def go(self, cues: list[TimedCue], progress: Progress | None) -> None:
        """Send the cues, watch the take to its end, and measure."""
        self._cues = cues
        self._acks = schedule(self._world, cues)
        started: float | None = None
        for picture in self._pictures():
            tick = picture.header.tick
            if started is None:
                started, self._first_tick = time.perf_counter(), tick
            self._digest.update(picture.pixels.tobytes())
            if progress is not None:
                progress(min(tick + 1, self._ticks), self._ticks)
        self._wall_s = time.perf_counter() - (started or 0.0)
        self._readings = [reading for reading in self._world.readings if reading.tick < self._ticks]
        if self._mode == "live":
            self._measure_live()

    def _pictures(self) -> Iterator[Picture]:
        """Yield the take's frames: every one in lockstep and offline mode, the newest ones in live mode."""
        if self._mode == "lockstep":
            block = self._world.info.model.block_frames
            for start in range(0, self._ticks, block):
                yield from self._world.advance(min(block, self._ticks - start))
            return
        self._world.resume()
        tick = -1
        while tick < self._ticks - 1:
            picture = self._world.next_picture(FIRST_FRAME_S)
            if picture.header.tick > tick:
                tick = picture.header.tick
                yield picture

    def _measure_live(self) -> None:
        """Count held and skipped frames of the timeline, then measure the latency of a few extra events."""
        self._world.pause()
        self._world.wait(lambda world: world.status is not None and world.status.paused, "the world's last status")
        status = self._world.status
        assert status is not None  # waited for above
        self._held, self._skipped = status.held, status.skipped
        if self._scenario.expect.latency_ms_max is None:
            return
        self._world.resume()
        for event in list(self._scenario.events)[:LATENCY_EVENTS]:
            sent = time.perf_counter()
            ack = self._world.event(event)
            while self._world.next_picture(FIRST_FRAME_S).header.cue < ack.cue:
                continue
            latency_ms = (time.perf_counter() - sent) * 1e3
            self._latencies_ms.append(latency_ms)
            self._world.displayed(ack.cue, latency_ms)

    def report(self) -> Report:
        """Return the report, checked against the scenario's expectations."""
        live = self._mode == "live"
        fps = (self._ticks - 1 - self._first_tick) / self._wall_s if live and self._wall_s > 0 else None
        latency_ms = statistics.median(self._latencies_ms) if self._latencies_ms else None
        starts = [ack.tick for ack in self._acks]
        kinds = self._scenario.expect.adherence_min
        adherence = (
            judge(self._scenario, self._cues, starts, self._readings, self._world.info.model.fps) if kinds else {}
        )
        return Report(
            scenario=self._scenario.name,
            model=self._world.info.model.name,
            seed=self._world.info.seed,
            mode=self._mode,
            ticks=self._ticks,
            wall_s=self._wall_s,
            fps=fps,
            held=self._held if live else None,
            skipped=self._skipped if live else None,
            latency_ms=latency_ms,
            frames_digest=None if live else self._digest.hexdigest(),
            cues=[
                CueReport(
                    name=cue.name or cue.text,
                    kind=cue.kind,
                    asked_tick=cue.tick,
                    tick=ack.tick,
                    block=ack.block,
                    prompt=ack.prompt,
                )
                for cue, ack in zip(self._cues, self._acks, strict=True)
            ],
            adherence=adherence,
            checks=list(self._checks(fps, latency_ms, adherence)),
        )

    def _checks(self, fps: float | None, latency_ms: float | None, adherence: dict[str, Adherence]) -> Iterator[Check]:
        expect = self._scenario.expect
        held = float(self._held) if self._mode == "live" else None
        if expect.fps_min is not None:
            yield Check.least("fps", expect.fps_min, fps)
        if expect.held_max is not None:
            yield Check.most("held", expect.held_max, held)
        if expect.latency_ms_max is not None:
            yield Check.most("latency_ms", expect.latency_ms_max, latency_ms)
        for kind, least in expect.adherence_min.items():
            measured = adherence.get(kind)
            yield Check.least(f"adherence.{kind}", least, measured.share if measured else None)


def judge(
    scenario: Scenario, cues: Sequence[TimedCue], starts: Sequence[int], readings: Sequence[Reading], fps: int
) -> dict[str, Adherence]:
    """Return how often the probe read what the scenario says, for each kind that has an expectation.

    `starts` are the ticks at which the cues took effect. When a kind's label changes, its blocks are not judged for
    SETTLE_S. A kind is not judged while the scenario says nothing about it.
    """
    settle = round(SETTLE_S * fps)
    result: dict[str, Adherence] = {}
    for kind in scenario.expect.adherence_min:
        spans = [(-settle, scenario.first_labels().get(kind))]
        for cue, start in zip(cues, starts, strict=True):
            label = (cue.labels or {}).get(kind)
            if label != spans[-1][1]:
                spans.append((start, label))
        judged = right = 0
        for reading in readings:
            start, label = next(span for span in reversed(spans) if span[0] <= reading.tick)
            if label is not None and kind in reading.labels and reading.tick >= start + settle:
                judged += 1
                right += reading.labels[kind] == label
        if judged:
            result[kind] = Adherence(blocks=judged, share=right / judged)
    return result
