"""How fast a model makes blocks, by itself: no server, no clients, no clock to keep.

From Python:

    result = bench(load("diorama"), BenchConfig(blocks=96))
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from longtake.model.errors import ConfigError

PROMPTS = (
    "a red hot air balloon drifts over a green meadow by day, under a clear sky",
    "a red hot air balloon drifts over the open ocean at night, in heavy rain",
)
"""cues alternate between them"""


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """What is measured."""

    blocks: int = 96
    """measured ones"""
    warmup_blocks: int = 12
    """made before, until the window is full and the allocator has settled"""
    cue_every: int = 16
    """blocks between two prompt changes"""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.blocks < 1 or self.warmup_blocks < 0 or self.cue_every < 1:
            raise ConfigError("a benchmark needs at least one block, and cues at least one block apart")


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Milliseconds over all that was measured."""

    p50: float
    p95: float
    max: float

    @classmethod
    def of(cls, values_ms: Sequence[float]) -> "Spread":
        """Percentiles, nearest rank; of nothing all are NaN."""
        if not values_ms:
            return cls(p50=float("nan"), p95=float("nan"), max=float("nan"))
        p50, p95 = np.percentile(values_ms, (50, 95), method="inverted_cdf")
        return cls(p50=float(p50), p95=float(p95), max=max(values_ms))


@dataclass(frozen=True, kw_only=True)
class BenchResult:
    """What was measured."""

    frames: int
    seconds: float
    fps: float
    """frames a second of wall time, prompt changes included"""
    block_ms: Spread
    """a block without a prompt change"""
    cue_ms: Spread
    """a prompt change: encoding and recache, without the block that follows"""
    first_block_ms: float
    """opening a world and making its first block, cold"""
    regions_ms: dict[str, float]
    """median of each region of a block without a prompt change"""
    recache_ms: float
    """median of the region `recache` in a block with one"""


def bench(
    model: Any,
    config: BenchConfig | None = None,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    clock: Callable[[], float] = time.perf_counter,
) -> BenchResult:
    """Make blocks and time them.

    Args:
        model: with the verbs of `longtake.model.loading.LoadedModel`.
        config: what to measure.
        progress: told how many blocks are made, of how many.
        clock: seconds.
    """
    config = config or BenchConfig()
    begun = clock()
    world = model.open(seed=config.seed, prompt=PROMPTS[0])
    model.step(world)
    first_block_ms = 1000 * (clock() - begun)
    for _ in range(config.warmup_blocks):
        model.step(world)
    plain_ms, cue_ms, recaches_ms = [], [], []
    regions: dict[str, list[float]] = {}
    frames = 0
    started = clock()
    for number in range(config.blocks):
        before = clock()
        with_cue = number % config.cue_every == config.cue_every - 1
        if with_cue:
            model.cue(world, PROMPTS[(number // config.cue_every + 1) % 2])
            cue_ms.append(1000 * (clock() - before))
        block = model.step(world)
        frames += block.frames.shape[1]
        if with_cue:
            recaches_ms.append(block.timings_ms.get("recache", 0.0))
        else:
            plain_ms.append(1000 * (clock() - before))
            for region, spent_ms in block.timings_ms.items():
                regions.setdefault(region, []).append(spent_ms)
        progress(number + 1, config.blocks)
    seconds = clock() - started
    model.close(world)
    return BenchResult(
        frames=frames,
        seconds=seconds,
        fps=frames / seconds if seconds > 0 else float("inf"),
        block_ms=Spread.of(plain_ms),
        cue_ms=Spread.of(cue_ms),
        first_block_ms=first_block_ms,
        regions_ms={region: float(np.median(values)) for region, values in regions.items()},
        recache_ms=float(np.median(recaches_ms)) if recaches_ms else float("nan"),
    )
