"""How near a generator on a CPU comes to the processor's own products, measured beside it.

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
from longtake.model.ops.linear import plain_linear
from longtake.model.ops.onednn import has_onednn, onednn_linear
from longtake.model.ops.precision import cpu_has_bf16, precision_name

SIDE = 1024
"""of the measured product: large enough for the peak, short enough to be done again and again"""
TRIES = 3
"""of each sample, of which the best counts: the first one after a block finds nothing in the caches"""
RECACHE_ROUNDS = 5
RECACHES_S = 4.0
"""no more rounds are begun after so long"""

Clock = Callable[[], float]


class RateMeter:
    """Samples of the rate of a large product, in every precision the processor has and on one thread and several.

    Args:
        threads: that the model runs on; one is always measured as well.
        clock: seconds.
    """

    def __init__(self, threads: int, clock: Clock = time.perf_counter) -> None:
        self._threads, self._clock = threads, clock
        types = [torch.bfloat16, torch.float32] if cpu_has_bf16() else [torch.float32]
        self._square = {dtype: [torch.randn(SIDE, SIDE).to(dtype) for _ in range(3)] for dtype in types}
        self._samples: dict[tuple[torch.dtype, int], list[float]] = {}

    def sample(self) -> None:
        """Measure each once; the number of threads is afterwards as it was."""
        for count in sorted({1, self._threads}):
            torch.set_num_threads(count)
            for dtype, (a, b, out) in self._square.items():
                seconds = min(timed(partial(torch.mm, a, b, out=out), self._clock) for _ in range(TRIES))
                self._samples.setdefault((dtype, count), []).append(2 * SIDE**3 / seconds / 1e9)
        torch.set_num_threads(self._threads)

    def rate(self, dtype: torch.dtype, threads: int) -> float:
        """Return the median of the samples, 1e9 operations a second; nan without any."""
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
    """Return the rate of each of the layers' maps alone, as the model computes them, 1e9 operations a second.

    By rows x inner x outer; what the same weights give when nothing else has used the caches meanwhile.
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
    """A prompt change's recache of a full window, without the text: milliseconds, medians; None where there is none."""

    keep: float | None
    """the sink kept as it is"""
    refresh: float | None
    """sink and all"""
    keep_frames: int
    refresh_frames: int


def time_recaches(generator: Generator, world: World, clock: Clock = time.perf_counter) -> Recaches:
    """Recache a world again and again, in both ways, with a block between; its window must be full."""
    config, window, ring = generator.config, generator.config.window_frames, generator.config.ring_frames
    spent: dict[SinkOnRecache, list[float]] = {"keep": [], "refresh": []}
    if plan_recache(config, 0, window) is None or config.recache == "clear":
        return Recaches(keep=None, refresh=None, keep_frames=ring, refresh_frames=window)
    begun = clock()
    for number in range(RECACHE_ROUNDS):
        for way, found in spent.items():
            if number and clock() - begun > RECACHES_S:
                break
            # A refreshed sink is new, and kept again only when the window has moved on.
            generator.step(world)
            so = replace(config, sink_on_recache=way)
            with torch.inference_mode():
                found.append(1000 * timed(partial(recache, world, generator.denoiser, so), clock))
    return Recaches(
        keep=statistics.median(spent["keep"]),
        refresh=statistics.median(spent["refresh"]),
        keep_frames=ring,
        refresh_frames=window,
    )


def gflop(config: GeneratorConfig) -> dict[str, float]:
    """Return the arithmetic of a block, and of a recache of the ring and of the whole window, 1e9 operations."""
    costs = costs_of(config)
    counted = {"block": (costs["denoise"] + costs["clean"]).flop / 1e9}
    return counted | {name: cost.flop / 1e9 for name, cost in costs.items() if name.startswith("recache")}
