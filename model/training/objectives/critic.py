"""The fake score's loss: flow matching on what the generator makes."""

import torch
from torch import Tensor

from longtake.model.generation.schedule import Schedule
from longtake.model.training.objectives.dmd import masked_mean
from longtake.model.training.objectives.scores import Conditioning, Score


def critic_loss(
    fake: Score,
    schedule: Schedule,
    x: Tensor,
    noise: Tensor,
    t: Tensor,
    conditioning: Conditioning,
    mask: Tensor | None = None,
) -> Tensor:
    """Return how far the fake score's flow is from that of the generator's latents, a scalar.

    Args:
        fake: the score that learns.
        schedule: adds the noise.
        x: a window of latents, [B, F, C, h, w]; no gradient goes into it.
        noise: like x.
        t: a timestep for each member of the batch, [B] (`NoiseLevels`).
        conditioning: what the window was made under.
        mask: frames that count, [B, F] bool; all by default.
    """
    x = x.detach()
    return masked_mean((critic_flow(fake, schedule, x, noise, t, conditioning) - (noise - x)) ** 2, mask)


def critic_flow(
    fake: Score, schedule: Schedule, x: Tensor, noise: Tensor, t: Tensor, conditioning: Conditioning
) -> Tensor:
    """Return the flow from noised latents to the clean ones that the fake score sees; arguments as for the loss.

    It goes by way of the clean latents because that is what the generator's loss uses of the score.
    """
    timesteps = t[:, None].expand(x.shape[:2])
    with torch.no_grad():
        xt = schedule.add_noise(x, noise, timesteps)
    return schedule.flow(fake.clean(xt, t, conditioning, x), xt, timesteps)
