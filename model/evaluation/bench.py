"""How fast a model makes blocks, by itself: no server, no clients, no clock to keep.

From Python:

    result = bench(load("diorama"), BenchConfig(blocks=96))

On a CPU it also tells how near that comes to the processor's own matrix products, and what the time goes to.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from longtake.model.errors import ConfigError
from longtake.model.evaluation.bench_kinds import shares
from longtake.model.evaluation.bench_rates import RateMeter, Recaches, gflop, own_products, time_recaches
from longtake.model.evaluation.plan import FRAMES_PER_LATENT
from longtake.model.generation.generator import Generator
from longtake.model.generation.world import World

PROMPTS = (
    "a red hot air balloon drifts over a green meadow by day, under a clear sky",
    "a red hot air balloon drifts over the open ocean at night, in heavy rain",
)
"""cues alternate between them"""
SAMPLE_EVERY = 4
"""blocks between two samples of the processor's rate"""


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
class Arithmetic:
    """How near a generator on a CPU comes to the processor's own products. Rates are 1e9 operations a second."""

    gflop: dict[str, float]
    """1e9 operations of a block, and of recaches by latent frames"""
    matmul_rates: dict[str, float]
    """of a large product, beside the blocks, by precision and threads"""
    own_product_rates: dict[str, float]
    """of the layers' maps, each alone"""
    rate: float
    """of a block's denoising and clean pass"""
    share: float
    """of the matmul rate in the model's precision on the model's threads"""
    recaches: Recaches
    recaches_of_a_block: dict[str, float]
    """how long they take, in blocks"""
    kinds_ms: dict[str, float]
    """of a block, see `longtake.model.evaluation.bench_kinds`"""


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
    arithmetic: Arithmetic | None
    """None for a model that is not on a CPU"""


def bench(
    model: Any,
    config: BenchConfig | None = None,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    clock: Callable[[], float] = time.perf_counter,
) -> BenchResult:
    """Make blocks and time them.

    As the server does, the next block is begun when the transformer is done with one; where that decodes beside it, its
    frames are waited for then. So a block's time is what it takes from one to the next.

    Args:
        model: with the verbs of `longtake.model.loading.LoadedModel`.
        config: what to measure.
        progress: told how many blocks are made, of how many.
        clock: seconds.
    """
    config = config or BenchConfig()
    generator = generator_on_cpu(model)
    begun = clock()
    world = model.open(seed=config.seed, prompt=PROMPTS[0])
    last = model.step(world)
    _ = last.timings_ms
    first_block_ms = 1000 * (clock() - begun)
    for _ in range(config.warmup_blocks):
        last = model.step(world)
        _ = last.step_ms
    meter = RateMeter(torch.get_num_threads(), clock) if generator is not None else None
    plain_ms, cue_ms, recaches_ms = [], [], []
    regions: dict[str, list[float]] = {}
    frames, seconds = 0, 0.0
    for number in range(config.blocks):
        if meter is not None and number % SAMPLE_EVERY == 0:
            meter.sample()
        before = clock()
        with_cue = number % config.cue_every == config.cue_every - 1
        if with_cue:
            model.cue(world, PROMPTS[(number // config.cue_every + 1) % 2])
            cue_ms.append(1000 * (clock() - before))
        block = model.step(world)
        step_ms = block.step_ms
        # Of the block before, which had all of this one's time to be decoded in.
        last_ms = last.timings_ms
        frames += FRAMES_PER_LATENT * last.latents.shape[1] if last.frames is None else last.frames.shape[1]
        last = block
        spent_s = clock() - before
        seconds += spent_s
        if with_cue:
            recaches_ms.append(step_ms.get("recache", 0.0))
        else:
            plain_ms.append(1000 * spent_s)
            for region, spent_ms in {**step_ms, **decoding(last_ms)}.items():
                regions.setdefault(region, []).append(spent_ms)
        progress(number + 1, config.blocks)
    _ = last.timings_ms
    medians = {region: float(np.median(values)) for region, values in regions.items()}
    block_ms = Spread.of(plain_ms)
    arithmetic = None
    if generator is not None and meter is not None:
        arithmetic = measure_arithmetic(generator, world, meter, block_ms.p50, medians, clock)
    model.close(world)
    return BenchResult(
        frames=frames,
        seconds=seconds,
        fps=frames / seconds if seconds > 0 else float("inf"),
        block_ms=block_ms,
        cue_ms=Spread.of(cue_ms),
        first_block_ms=first_block_ms,
        regions_ms=medians,
        recache_ms=float(np.median(recaches_ms)) if recaches_ms else float("nan"),
        arithmetic=arithmetic,
    )


def decoding(timings_ms: Mapping[str, float]) -> dict[str, float]:
    """Return the decoding alone, of a model that has any."""
    return {name: spent_ms for name, spent_ms in timings_ms.items() if name == "decode"}


def generator_on_cpu(model: Any) -> Generator | None:
    """Return the generator of a model that computes on the CPU; None for any other model."""
    generator = getattr(model, "generator", None)
    return generator if isinstance(generator, Generator) and generator.device.type == "cpu" else None


def measure_arithmetic(
    generator: Generator,
    world: World,
    meter: RateMeter,
    block_ms: float,
    regions_ms: dict[str, float],
    clock: Callable[[], float],
) -> Arithmetic:
    """Hold a generator's blocks against the processor's products.

    Args:
        generator: on a CPU.
        world: one of its worlds; goes on for some blocks.
        meter: with samples taken between the blocks.
        block_ms: a block without a prompt change, decoding included.
        regions_ms: medians of its regions.
        clock: seconds.
    """
    counted = gflop(generator.config)
    # The first blocks of a take see less than a whole window.
    while world.cache.valid_frames < generator.config.window_frames:
        generator.step(world)
    recaches = time_recaches(generator, world, clock)
    rate = 1000 * counted["block"] / (regions_ms["denoise"] + regions_ms["clean"])
    ways = {"keep": recaches.keep, "refresh": recaches.refresh}
    return Arithmetic(
        gflop=counted,
        matmul_rates=meter.read(),
        own_product_rates=own_products(generator.config, generator.dtype, clock),
        rate=rate,
        share=rate / meter.rate(generator.dtype, torch.get_num_threads()),
        recaches=recaches,
        recaches_of_a_block={way: spent_ms / block_ms for way, spent_ms in ways.items() if spent_ms is not None},
        kinds_ms={kind: share * block_ms for kind, share in shares(generator, world).items()},
    )
