"""What a motion head sees of a running take (`longtake.model.network.motion_head`)."""

from typing import Any

import torch

from longtake.model.config import TransformerConfig
from longtake.model.generation.world import CachedWindow
from longtake.model.network.motion_head import BEFORE, Before


def stands_before(
    world: CachedWindow[Any], batch: int, sizes: TransformerConfig, device: torch.device, dtype: torch.dtype
) -> Before:
    """Return what stands before a world's next block, which is one latent frame: no more than the cache has seen.

    Args:
        world: settled.
        batch: its members.
        sizes: of the network.
        device: of the result.
        dtype: of its tensors.
    """
    end = world.cache.end_frame
    seen = world.latents_of(max(world.cache.first_frame, end - BEFORE), end)[::-1]
    nothing = torch.zeros(batch, *sizes.latent_shape, device=device, dtype=dtype)
    latents = [each.latents.to(dtype) for each in seen] + [nothing] * (BEFORE - len(seen))
    known = torch.tensor([[[1.0] * len(seen) + [0.0] * (BEFORE - len(seen))]], dtype=dtype).to(device)
    last = seen[0].actions if seen else ()
    actions = None
    if sizes.actions:
        told = torch.tensor(last or (0.0,) * sizes.actions, dtype=dtype).to(device)
        actions = told.expand(batch, 1, sizes.actions)
    return Before(torch.stack(latents, 1)[:, None], known.expand(batch, 1, BEFORE), actions)
