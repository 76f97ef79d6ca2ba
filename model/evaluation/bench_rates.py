"""Measures the processor's own products between a generator's blocks, to see how close the blocks come to them.

    meter = RateMeter(threads=2)
    ...                                   # between blocks, again and again:
    meter.sample()
    meter.read()["bf16, 1 thread"]        # operations a second, 1e9

Other work on the machine slows products and blocks alike, so both are medians over the same stretch of time.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import torch

from longtake.model.config import GeneratorConfig, SinkOnRecache
from longtake.model.evaluation.plan import costs_of
from longtake.model.generation.generator import Generator
from longtake.model.generation.recache import plan_recache, recache
from longtake.model.generation.world import World
from longtake.model.ops.linear.onednn import has_onednn, onednn_linear
from longtake.model.ops.linear.plain import plain_linear
from longtake.model.ops.precision import cpu_has_bf16, precision_name

SIDE = 1024
"""side of the measured product: large enough for the peak, short enough to repeat"""
TRIES = 3
"""tries a sample, of which the best counts: the first one after a block finds cold caches"""
RECACHE_ROUNDS = 5
RECACHES_S = 4.0
"""no round starts after this time"""

Clock = Callable[[], float]


class RateMeter:
    """Samples the rate of a large product in every precision the processor has, on one thread and on several.

    Args:
        threads: threads of the model; one thread is always measured as well.
        clock: returns seconds.
    """

    def __init__(self, threads: int, clock: Clock = time.perf_counter) -> None:
        self._threads, self._clock = threads, clock
        types = [torch.bfloat16, torch.float32] if cpu_has_bf16() else [torch.float32]
        self._square = {dtype: [torch.randn(SIDE, SIDE).to(dtype) for _ in range(3)] for dtype in types}
        self._samples: dict[tuple[torch.dtype, int], list[float]] = {}

    def sample(self) -> None:
        """Measure each one once; the thread count is restored afterwards."""
        for count in sorted({1, self._threads}):
            torch.set_num_threads(count)
            for dtype, (a, b, out) in self._square.items():
                seconds = min(timed(partial(torch.mm, a, b, out=out), self._clock) for _ in range(TRIES))
                self._samples.setdefault((dtype, count), []).append(2 * SIDE**3 / seconds / 1e9)
        torch.set_num_threads(self._threads)

    def rate(self, dtype: torch.dtype, threads: int) -> float:
        """Return the median of the samples, 1e9 operations a second; NaN without samples."""
        samples = self._samples.get((dtype, threads), [])
        return statistics.median(samples) if samples else float("nan")

    def read(self) -> dict[str, float]:
        """Return the medians by name."""
        return {
            f"{precision_name(dtype)}, {count} thread{'s' if count > 1 else ''}": self.rate(dtype, count)
            for dtype, count in self._samples
        }


def timed(work: Callable[[], object], clock: Clock) -> float:
    """Return how long something took, in seconds."""
    before = clock()
    work()
    return clock() - before


def own_products(config: GeneratorConfig, dtype: torch.dtype, clock: Clock = time.perf_counter) -> dict[str, float]:
    """Return the rate of each of the layers' products alone, as the model computes them, 1e9 operations a second.

    The key is rows x inner x outer. Nothing else uses the caches meanwhile, so this is the best these weights can do.
    """
    sizes = config.transformer
    rows, dim = config.block_frames * sizes.frame_tokens, sizes.dim
    rates = {}
    for inner, outer in dict.fromkeys([(dim, 3 * dim), (dim, dim), (dim, sizes.ffn_dim), (sizes.ffn_dim, dim)]):
        x, weight, bias = (torch.randn(*shape).to(dtype) for shape in ((rows, inner), (outer, inner), (outer,)))
        product = (
            onednn_linear(weight, bias, rows) if has_onednn(torch.device("cpu"), dtype) else plain_linear(weight, bias)
        )
        best = min(timed(partial(product, x), clock) for _ in range(4 * TRIES))
        rates[f"{rows} x {inner} x {outer}"] = 2 * rows * inner * outer / best / 1e9
    return rates


@dataclass(frozen=True, kw_only=True)
class Recaches:
    """Median milliseconds of a prompt change's recache of a full window, without the text; None if there is none."""

    keep: float | None
    """keeping the sink"""
    refresh: float | None
    """rebuilding the sink too"""
    keep_frames: int
    refresh_frames: int


def move_on(generator: Generator, world: World) -> None:
    """Make a block, and more until the window is full and has left its first frame: only then can a sink be kept."""
    beyond = False
    while not beyond:
        generator.step(world)
        generator.settle(world)
        beyond = world.cache.end_frame - world.cache.first_frame > generator.config.window_frames


def time_recaches(generator: Generator, world: World, clock: Clock = time.perf_counter) -> Recaches:
    """Recache a world's full window repeatedly in both ways, with a block or more in between."""
    config = generator.config
    window, ring, refreshed = config.window_frames, config.ring_frames, config.refreshed_frames
    spent: dict[SinkOnRecache, list[float]] = {"keep": [], "refresh": []}
    if plan_recache(config, 0, window) is None or config.recache == "clear":
        return Recaches(keep=None, refresh=None, keep_frames=ring, refresh_frames=refreshed)
    begun = clock()
    for number in range(RECACHE_ROUNDS):
        for way, found in spent.items():
            if number and clock() - begun > RECACHES_S:
                break
            move_on(generator, world)
            so = replace(config, sink_on_recache=way, recache_frames=config.recache_frames if way == "refresh" else 0)
            with torch.inference_mode():
                found.append(1000 * timed(partial(recache, world, world.executor, so), clock))
    return Recaches(
        keep=statistics.median(spent["keep"]),
        refresh=statistics.median(spent["refresh"]),
        keep_frames=ring,
        refresh_frames=refreshed,
    )


def gflop(config: GeneratorConfig) -> dict[str, float]:
    """Return the arithmetic of a block and of a recache, of the ring and of the whole window, in 1e9 operations."""
    costs = costs_of(config)
    counted = {"block": (costs["denoise"] + costs["clean"]).flop / 1e9}
    return counted | {name: cost.flop / 1e9 for name, cost in costs.items() if name.startswith("recache")}
