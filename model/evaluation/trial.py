"""Tries a model at full size with one recache and one block, even on a machine without a GPU.

A whole take would cost hours and show noise, because the weights are random. So the window is filled with random
latents, as if the take were already that long. One pass rebuilds all of it in the cache, like a prompt change that
takes a new sink. Then one block is made and decoded.
"""

import resource
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from longtake.model.generation.generator import Generator
from longtake.model.generation.snapshot import Snapshot
from longtake.model.generation.world import CachedFrame, Prompt
from longtake.model.interface import ModelInfo
from longtake.model.loaded import LoadedModel

Progress = Callable[[int, int], None]
STEPS = 3
"""steps of the progress: prompt, recache, block"""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """The result of a trial.

    Attributes:
        frames: the block's frames, [n, H, W, 3] uint8 RGB.
        first_frame: tick of the first one.
        recached_frames: number of latent frames rebuilt.
        at_frame: latent frame at which the block starts.
        timings_ms: time by region; includes decoding the window for the decoder's state.
    """

    frames: Tensor
    first_frame: int
    recached_frames: int
    at_frame: int
    timings_ms: dict[str, float]


def run_trial(model: LoadedModel, *, seed: int, prompt: str, progress: Progress = lambda done, total: None) -> Trial:
    """Recache and make a block after a window of random latents.

    Args:
        model: a model with a decoder.
        seed: seed of the latents and the block's noise.
        prompt: prompt of the recache and the block.
        progress: called with the steps done and `STEPS`.
    """
    generator = model.generator
    snapshot = window_of_noise(generator, model.info, seed=seed, prompt=prompt)
    progress(1, STEPS)
    # A compact snapshot is restored by recache: here one pass over the whole window.
    world = generator.restore(snapshot)
    progress(2, STEPS)
    block = generator.step(world)
    timings_ms = dict(block.timings_ms)
    model.settle(world)
    timings_ms["clean"] = world.stopwatch.read()["clean"]
    trial = Trial(
        frames=block.frames[0],
        first_frame=block.first_frame,
        recached_frames=len(snapshot.past),
        at_frame=snapshot.end_frame,
        timings_ms=timings_ms,
    )
    generator.close(world)
    progress(3, STEPS)
    return trial


def window_of_noise(generator: Generator, info: ModelInfo, *, seed: int, prompt: str) -> Snapshot:
    """Return a snapshot of a world one block longer than its window, written in one pass over noise."""
    config = generator.config
    end = config.window_frames + config.block_frames
    end -= end % config.block_frames
    source = torch.Generator().manual_seed(seed)
    latents = torch.randn(1, config.window_frames, *config.transformer.latent_shape, generator=source)
    world = generator.open(seed=seed, prompt=prompt)
    # Close it before the next one opens: two caches would take seven gigabytes.
    empty = Snapshot.of(world, config)
    generator.close(world)
    past = written(latents.to(generator.dtype), end - config.window_frames, empty.prompt)
    blocks = end // config.block_frames
    return replace(
        empty,
        block=blocks,
        next_tick=info.first_block_frames + (blocks - 1) * info.block_frames,
        groups=1,
        first_frame=end - config.window_frames,
        end_frame=end,
        past=past,
        sink=past[: config.sink_frames],
    )


def written(latents: Tensor, first_frame: int, prompt: Prompt) -> tuple[CachedFrame, ...]:
    """Return latents [B, F, C, h, w] as cached frames of one group."""
    return tuple(CachedFrame(first_frame + offset, frame, prompt, 0) for offset, frame in enumerate(latents.unbind(1)))


def peak_memory_bytes() -> int:
    """Return the peak memory of this process, as the system counts it."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
