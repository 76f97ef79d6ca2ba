"""Measure several live worlds that take turns on one generator, and the clients that watch them.

The worlds open one after another, because a server admits a live world by what those before it have measured. One that
it refuses is left out, and the result says why.
"""

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from statistics import median

from longtake.clients.session import Session, World
from longtake.protocol.errors import LongtakeError, Refused
from longtake.runtime.cli.bench_live import (
    FIRST_FRAME_S,
    Driver,
    LiveConfig,
    LiveResult,
    Progress,
    Spread,
    figures_of,
    final_status,
)
from longtake.scenarios.schema import Scenario

SETTLE_S = 2.0
"""film that a world shows before the next one is opened"""
VIEWER_PATIENCE_S = 0.5
"""how long a viewer waits for a picture before it looks whether the measurement is over"""


@dataclass(frozen=True, kw_only=True)
class Worlds:
    """How many are measured."""

    worlds: int
    viewers: int
    """clients that only watch, for each world"""


@dataclass(frozen=True, kw_only=True)
class WorldResult(LiveResult):
    """One world's figures."""

    viewers: int
    viewer_fps: float | None
    """new frames a second that the slowest of its viewers saw; None without viewers"""


@dataclass(frozen=True, kw_only=True)
class Overall:
    """The figures of all worlds together."""

    fps: float
    """frames shown a second, by all worlds"""
    fps_of_the_slowest: float
    frames_shown: int
    frames_held: int
    deadlines_skipped: int
    event_to_photon_ms: Spread
    cues: int
    block_ms: float
    """median of the worlds' medians"""


@dataclass(frozen=True, kw_only=True)
class WorldsResult:
    """What was measured."""

    asked: int
    """worlds that were asked for"""
    refused: str
    """why the first world that is missing was refused; empty if none is missing"""
    worlds: list[WorldResult]
    overall: Overall


@dataclass(kw_only=True)
class Viewer:
    """A client that takes the newest picture, again and again, on a thread of its own."""

    world: World
    seen_at: list[float] = field(default_factory=list)

    def watch(self, stop: threading.Event) -> None:
        """Take pictures until the end."""
        while not stop.is_set():
            try:
                picture = self.world.next_picture(VIEWER_PATIENCE_S)
            except LongtakeError:
                continue  # nothing came: a world that stands still is in its own figures
            if not picture.header.held:
                self.seen_at.append(time.perf_counter())

    @property
    def fps(self) -> float:
        """New frames a second."""
        elapsed = self.seen_at[-1] - self.seen_at[0] if self.seen_at else 0.0
        return (len(self.seen_at) - 1) / elapsed if elapsed > 0 else 0.0


def bench_worlds(
    endpoint: str,
    scenario: Scenario,
    config: LiveConfig,
    count: Worlds,
    *,
    progress: Progress = lambda done, total: None,
) -> WorldsResult:
    """Open live worlds of a scenario at a server and measure them together. Raises LongtakeError."""
    with ExitStack() as stack:
        worlds, refused = open_worlds(stack, endpoint, scenario, config, count.worlds)
        viewers = [[join(stack, endpoint, world) for _ in range(count.viewers)] for world in worlds]
        drivers = [
            Driver(world, scenario, LiveConfig(seconds=config.seconds, seed=config.seed + index))
            for index, world in enumerate(worlds)
        ]
        for world in worlds:
            world.resume()
        with watching([viewer for some in viewers for viewer in some]), ThreadPoolExecutor(len(drivers)) as pool:
            quiet: Progress = lambda done, total: None  # noqa: E731
            futures = [pool.submit(driver.watch, quiet if index else progress) for index, driver in enumerate(drivers)]
            watched = [future.result() for future in futures]
        results = [
            WorldResult(
                **vars(figures_of(world, driver, seen)),
                viewers=len(some),
                viewer_fps=min((viewer.fps for viewer in some), default=None),
            )
            for world, driver, seen, some in zip(worlds, drivers, watched, viewers, strict=True)
        ]
        for world in worlds:
            world.close()
    latencies_ms = [each for seen in watched for each in seen.latencies_ms]
    return WorldsResult(
        asked=count.worlds, refused=refused, worlds=results, overall=overall(results, Spread.of(latencies_ms))
    )


def open_worlds(
    stack: ExitStack, endpoint: str, scenario: Scenario, config: LiveConfig, count: int
) -> tuple[list[World], str]:
    """Open worlds, each in a session of its own, until there are enough or one is refused; return them, and why.

    Raises the server's error if it refuses the first one.
    """
    worlds: list[World] = []
    for index in range(count):
        session = stack.enter_context(Session.connect(endpoint, client=f"longtake-bench-{index + 1}"))
        try:
            world = session.open(
                scenario.model,
                script=scenario.script(),
                seed=config.seed + index,
                mode="live",
                delivery="every",
                paused=True,
            )
        except Refused as error:
            if not worlds:
                raise
            return worlds, error.message
        settle(world)
        worlds.append(world)
    return worlds, ""


def settle(world: World) -> None:
    """Let a world show a little film, so that the server knows how long its blocks take, and pause it again."""
    world.resume()
    until = None
    while until is None or time.perf_counter() < until:
        world.next_picture(FIRST_FRAME_S)
        until = until or time.perf_counter() + SETTLE_S
    final_status(world)
    while world.take_picture() is not None:
        continue  # made before the measurement


def join(stack: ExitStack, endpoint: str, world: World) -> Viewer:
    """Join a world as a viewer."""
    session = stack.enter_context(Session.connect(endpoint, client="longtake-bench-viewer"))
    return Viewer(world=session.join(world.name, role="viewer", delivery="latest"))


@contextmanager
def watching(viewers: list[Viewer]) -> Iterator[None]:
    """Let viewers watch for as long as the block of the `with` lasts."""
    stop = threading.Event()
    threads = [threading.Thread(target=viewer.watch, args=(stop,), daemon=True) for viewer in viewers]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def overall(results: list[WorldResult], event_to_photon_ms: Spread) -> Overall:
    """Return the figures of all worlds together."""
    return Overall(
        fps=sum(each.fps for each in results),
        fps_of_the_slowest=min(each.fps for each in results),
        frames_shown=sum(each.frames_shown for each in results),
        frames_held=sum(each.frames_held for each in results),
        deadlines_skipped=sum(each.deadlines_skipped for each in results),
        event_to_photon_ms=event_to_photon_ms,
        cues=sum(each.cues for each in results),
        block_ms=median(each.block_ms for each in results),
    )
