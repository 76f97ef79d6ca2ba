"""Measures how fast a model makes blocks by itself, without server, clients or a clock to keep up with.

From Python:

    result = bench(load_diorama(bundled_folder()), BenchConfig(blocks=96))

On a CPU it also says how close that comes to the processor's own matrix products, and where the time goes.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from longtake.model.errors import ConfigError
from longtake.model.evaluation.bench_kinds import shares
from longtake.model.evaluation.bench_rates import RateMeter, Recaches, gflop, move_on, own_products, time_recaches
from longtake.model.generation.generator import Generator
from longtake.model.generation.world import World
from longtake.model.interface import Conditioning, WorldModel, settle
from longtake.model.loaded import LoadedModel

PROMPTS = (
    "a red hot air balloon drifts over a green meadow by day, under a clear sky",
    "a red hot air balloon drifts over the open ocean at night, in heavy rain",
)
"""cues alternate between these"""
SAMPLE_EVERY = 4
"""blocks between two samples of the processor's rate"""


@dataclass(frozen=True, kw_only=True)
class BenchConfig:
    """What to measure."""

    blocks: int = 96
    """blocks to measure"""
    warmup_blocks: int = 12
    """blocks made first, until the window is full and the allocator has settled"""
    cue_every: int = 16
    """blocks between two prompt changes"""
    seed: int = 0

    def __post_init__(self) -> None:
        if self.blocks < 1 or self.warmup_blocks < 0 or self.cue_every < 1:
            raise ConfigError("a benchmark needs at least one block, and cues at least one block apart")


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Percentiles in milliseconds."""

    p50: float
    p95: float
    max: float

    @classmethod
    def of(cls, values_ms: Sequence[float]) -> "Spread":
        """Return nearest-rank percentiles; all NaN without values."""
        if not values_ms:
            return cls(p50=float("nan"), p95=float("nan"), max=float("nan"))
        p50, p95 = np.percentile(values_ms, (50, 95), method="inverted_cdf")
        return cls(p50=float(p50), p95=float(p95), max=max(values_ms))


@dataclass(frozen=True, kw_only=True)
class Arithmetic:
    """How close a generator on a CPU comes to the processor's own products. Rates are 1e9 operations a second."""

    gflop: dict[str, float]
    """1e9 operations of a block, and of a recache by number of latent frames"""
    matmul_rates: dict[str, float]
    """rate of a large product, sampled between the blocks, by precision and threads"""
    own_product_rates: dict[str, float]
    """rate of each of the layers' products alone"""
    rate: float
    """rate of a block's denoising and clean pass"""
    share: float
    """`rate` divided by the matmul rate in the model's precision on the model's threads"""
    recaches: Recaches
    recaches_of_a_block: dict[str, float]
    """how long recaches take, in units of a block"""
    kinds_ms: dict[str, float]
    """a block's time by kind of work, see `longtake.model.evaluation.bench_kinds`"""


@dataclass(frozen=True, kw_only=True)
class BenchResult:
    """What was measured."""

    frames: int
    seconds: float
    fps: float
    """frames a second of wall time, including prompt changes"""
    block_ms: Spread
    """time of a block without a prompt change"""
    cue_ms: Spread
    """time of a prompt change: encoding and recache, without the block that follows"""
    first_block_ms: float
    """time to open a world and make its first block, cold"""
    regions_ms: dict[str, float]
    """median time of each region of a block without a prompt change"""
    recache_ms: float
    """median time of the region `recache` in a block with a prompt change"""
    arithmetic: Arithmetic | None
    """None for a model that is not on a CPU"""


def bench(
    model: WorldModel,
    config: BenchConfig | None = None,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    clock: Callable[[], float] = time.perf_counter,
) -> BenchResult:
    """Make blocks and time them.

    As in the server, the next block starts when the transformer is done with this one. If frames are decoded
    meanwhile, they are waited for then. So a block's time is the time from one block to the next.

    Args:
        model: any.
        config: what to measure.
        progress: called with the blocks made and the blocks in all.
        clock: returns seconds.
    """
    config = config or BenchConfig()
    generator = generator_on_cpu(model)
    begun = clock()
    world = model.open(seed=config.seed, conditioning=Conditioning(prompt=PROMPTS[0]))
    last = model.step(world)
    _ = last.timings_ms
    settle(model, world)
    first_block_ms = 1000 * (clock() - begun)
    for _ in range(config.warmup_blocks):
        last = model.step(world)
        settle(model, world)
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
            model.cue(world, Conditioning(prompt=PROMPTS[(number // config.cue_every + 1) % 2]))
            cue_ms.append(1000 * (clock() - before))
        block = model.step(world)
        settle(model, world)
        step_ms = block.step_ms
        # The previous block was decoded while this one was made.
        last_ms = last.timings_ms
        frames += model.info.block_frames if last.index else model.info.first_block_frames
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
    if generator is not None and meter is not None and isinstance(world, World):
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
    """Return the decoding time alone, if the model decodes."""
    return {name: spent_ms for name, spent_ms in timings_ms.items() if name == "decode"}


def generator_on_cpu(model: WorldModel) -> Generator | None:
    """Return the generator of a model on the CPU; None for any other model."""
    if isinstance(model, LoadedModel) and model.generator.device.type == "cpu":
        return model.generator
    return None


def measure_arithmetic(
    generator: Generator,
    world: World,
    meter: RateMeter,
    block_ms: float,
    regions_ms: dict[str, float],
    clock: Callable[[], float],
) -> Arithmetic:
    """Compare a generator's blocks with the processor's products.

    Args:
        generator: a generator on a CPU.
        world: one of its worlds; makes some more blocks.
        meter: holds samples taken between the blocks.
        block_ms: time of a block without a prompt change, including decoding.
        regions_ms: medians of its regions.
        clock: returns seconds.
    """
    counted = gflop(generator.config)
    recaches = time_recaches(generator, world, clock)
    # What is profiled below sees a whole window; a recache may have left less.
    move_on(generator, world)
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
