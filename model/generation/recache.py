"""Rebuilds the window's keys and values, after a prompt change or from a compact snapshot.

| mode | keys and values of the window after a prompt change |
|---|---|
| longlive | one pass over the window's latents without a mask, as the public model does it |
| causal | as if the same latents had been streamed under the new prompt, block by block |
| clear | none: the take goes on from the prompt alone |
| none | as they were: only cross-attention sees the new prompt |

While the take fits in the window, a recache rewrites the sink too. Later the sink either stays as it was last written
(then its frames need not be computed), or it is refreshed: the window's first frames become the sink. A recache that
refreshes it may also leave out the window's oldest frames (`recache_frames`); the take goes on as a shorter one would.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

import torch
from torch import Tensor

from longtake.model.config import GeneratorConfig
from longtake.model.execution.base import CLEAN, Executor, FrameActions
from longtake.model.generation.world import CachedWindow, CacheT, Prompt
from longtake.model.network.layers import PromptKV

PromptKVOf = Callable[[Prompt], Sequence[PromptKV]]
"""Cross-attention keys and values of a prompt, per layer."""


@dataclass(frozen=True, kw_only=True)
class RecachePlan:
    """What to recompute.

    Attributes:
        keep_sink: True if the sink's keys stay.
        first_frame: index in the take of the first frame recomputed; if there is none, of the next block.
        group_frames: latent frames of each group; a group sees those before it and the whole of itself.
    """

    keep_sink: bool
    first_frame: int
    group_frames: tuple[int, ...]


def plan_recache(config: GeneratorConfig, first_frame: int, end_frame: int) -> RecachePlan | None:
    """Return what a prompt change recomputes, or None if it leaves the cache alone.

    Args:
        config: the mode.
        first_frame: index in the take of the first frame the cache has seen since it was emptied.
        end_frame: index of the next frame to come.
    """
    if config.recache == "none" or end_frame == first_frame:
        return None
    if config.recache == "clear":
        return RecachePlan(keep_sink=False, first_frame=end_frame, group_frames=())
    past_the_window = end_frame - first_frame > config.window_frames
    keep_sink = past_the_window and config.sink_on_recache == "keep"
    start = end_frame - config.ring_frames if keep_sink else max(first_frame, end_frame - config.refreshed_frames)
    causal = config.recache == "causal"
    groups = block_groups(start, end_frame, config.block_frames) if causal else (end_frame - start,)
    return RecachePlan(keep_sink=keep_sink, first_frame=start, group_frames=groups)


def live_lengths(config: GeneratorConfig) -> list[int]:
    """Return the numbers of latent frames that a live world computes at once: a block, and a full window's recache."""
    plan = plan_recache(config, 0, config.window_frames + config.block_frames)
    frames = sum(plan.group_frames) if plan else 0
    return sorted({config.block_frames, frames} - {0})


def live_recaches(config: GeneratorConfig) -> list[RecachePlan]:
    """Return the recaches of a full window that a live world meets: the last that fits in it, and all later ones."""
    plans: list[RecachePlan] = []
    full = config.window_frames // config.block_frames * config.block_frames
    for end_frame in (full, config.window_frames + config.block_frames):
        plan = plan_recache(config, 0, end_frame)
        same = [each for each in plans if plan and each.group_frames == plan.group_frames]
        if plan is not None and plan.group_frames and not same:
            plans.append(plan)
    return plans


def block_groups(first_frame: int, end_frame: int, block_frames: int) -> tuple[int, ...]:
    """Cut frames at the take's block boundaries."""
    return tuple(len(list(frames)) for _, frames in groupby(range(first_frame, end_frame), lambda f: f // block_frames))


def rewrite(
    world: CachedWindow[CacheT],
    executor: Executor,
    latents: Tensor,
    group_frames: Sequence[int],
    prompt_kv: Sequence[PromptKV],
    actions: FrameActions = (),
) -> None:
    """Compute clean latents [B, F, C, h, w] into the cache as the frames that come next, each under its actions."""
    block = world.cache.begin(group_frames)
    executor.write(block, latents, prompt_kv, executor.condition(CLEAN, actions))
    world.cache.commit(block)


def recache(world: CachedWindow[CacheT], executor: Executor, config: GeneratorConfig) -> None:
    """Bring the cache under the prompt in force, from the latents already made."""
    cache = world.cache
    end_frame = cache.end_frame
    plan = plan_recache(config, cache.first_frame, end_frame)
    if plan is None:
        return
    if plan.keep_sink:
        cache.keep_sink(plan.first_frame)
    else:
        cache.restart(plan.first_frame)
        world.sink.clear()
    if not plan.group_frames:
        return
    frames = world.latents_of(plan.first_frame, end_frame)
    latents, actions = torch.stack([w.latents for w in frames], dim=1), [w.actions for w in frames]
    rewrite(world, executor, latents, plan.group_frames, world.prompt_kv, actions)
    world.record(plan.first_frame, latents, plan.group_frames, config.window_frames, actions)


def rebuild(
    world: CachedWindow[CacheT], executor: Executor, config: GeneratorConfig, end_frame: int, prompt_kv_of: PromptKVOf
) -> None:
    """Fill an emptied cache from the world's recorded frames, each under its prompt and actions.

    Frames are computed in the groups they were written in. What they saw of frames that have left the window is lost:
    the result equals the original if no frame has left since the last recache, and comes near it otherwise.
    """
    cache = world.cache
    if end_frame - cache.first_frame > config.window_frames:
        runs = [world.sink, world.latents_of(end_frame - config.ring_frames, end_frame)]
    else:
        runs = [world.latents_of(cache.first_frame, end_frame)]
    for index, run in enumerate(runs):
        if index:
            cache.keep_sink(run[0].frame)
        for prompt, same in groupby(run, lambda w: w.prompt):
            frames = list(same)
            groups = [len(list(group)) for _, group in groupby(frames, lambda w: w.group)]
            latents, actions = torch.stack([w.latents for w in frames], dim=1), [w.actions for w in frames]
            rewrite(world, executor, latents, groups, prompt_kv_of(prompt), actions)
