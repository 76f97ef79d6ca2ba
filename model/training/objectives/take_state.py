"""A rolled-out take as plain values and tensors, so that a run that was stopped goes on in the middle of it."""

from collections.abc import Sequence
from typing import Any

import torch

from longtake.model.cache.base import CacheState
from longtake.model.generation.world import CachedFrame, Prompt
from longtake.model.training.objectives.rollout import RolloutWorld


def world_state(world: RolloutWorld) -> dict[str, Any]:
    """Return what `restore_world` brings back: all but the prompt and the noise."""
    return {
        "cache": world.cache.save()._asdict(),
        "past": _frames_state(world.past),
        "sink": _frames_state(world.sink),
        "groups": world.groups,
        "block": world.block,
    }


def restore_world(world: RolloutWorld, state: dict[str, Any]) -> None:
    """Bring back a state in a world that was opened under the prompt in force."""
    world.cache.load(CacheState(**state["cache"]))
    world.past = _frames(state["past"], world.prompt)
    world.sink = _frames(state["sink"], world.prompt)
    world.groups, world.block = state["groups"], state["block"]


def _frames_state(frames: Sequence[CachedFrame]) -> dict[str, Any]:
    return {
        "frames": [cached.frame for cached in frames],
        "groups": [cached.group for cached in frames],
        "latents": torch.stack([cached.latents for cached in frames]) if frames else None,
    }


def _frames(state: dict[str, Any], prompt: Prompt) -> list[CachedFrame]:
    """Bring back frames. The prompt of each is needed for a snapshot only, so all get the one in force."""
    if state["latents"] is None:
        return []
    rows = zip(state["frames"], state["latents"].unbind(0), state["groups"], strict=True)
    return [CachedFrame(frame=frame, latents=latents, prompt=prompt, group=group) for frame, latents, group in rows]
