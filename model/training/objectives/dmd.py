"""Distribution matching: the generator's loss of distribution matching distillation (arXiv 2405.14867, LongLive).

The latents that a rollout made are noised, and two scores say where they come from: the frozen real one, with
guidance, and the fake one, which knows what the generator makes. Their difference is the gradient of the latents.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from longtake.model.bounds import at_least
from longtake.model.generation.schedule import Schedule
from longtake.model.training.objectives.scores import Conditioning, Score, guided


@dataclass(frozen=True, kw_only=True)
class DmdConfig:
    """How scores are compared."""

    guidance: float = 3.0
    """How far the real score is pushed away from the negative prompt; 0 leaves that out."""

    def __post_init__(self) -> None:
        at_least(self, 0, "guidance")


class Direction(NamedTuple):
    """What the scores say of a window: each [B, F, C, h, w].

    Attributes:
        fake, real: the clean latents that the two scores see in it, the real one with guidance.
        gradient: of the latents, normalised.
    """

    fake: Tensor
    real: Tensor
    gradient: Tensor


class DistributionMatching:
    """The generator's loss.

    Args:
        config: guidance.
        schedule: adds the noise.
        real: the frozen teacher.
        fake: the critic; it gets no gradient here.
        negative: what the real score is pushed away from, for a batch of any size (a batch of one is repeated).
    """

    def __init__(self, config: DmdConfig, schedule: Schedule, real: Score, fake: Score, negative: Conditioning) -> None:
        self.config, self.schedule = config, schedule
        self.real, self.fake, self.negative = real, fake, negative

    @torch.no_grad()
    def direction(self, x: Tensor, noise: Tensor, t: Tensor, conditioning: Conditioning) -> Direction:
        """Return which way the latents should go.

        Args:
            x: a window of the generator's latents, [B, F, C, h, w].
            noise: like x.
            t: a timestep for each member of the batch, [B] (`NoiseLevels`).
            conditioning: what the window was made under.
        """
        xt = self.schedule.add_noise(x, noise, t[:, None].expand(x.shape[:2]))
        fake = self.fake.clean(xt, t, conditioning, x)
        # The actions stay: guidance is away from the negative prompt alone.
        unwanted = Conditioning(text=self.negative.text.expand(len(x), -1, -1), actions=conditioning.actions)
        real = guided(self.real, xt, t, conditioning, unwanted, x, guidance=self.config.guidance)
        # By the distance that is left, so that every noise level weighs alike; frames a mask leaves out count too.
        distance = (x - real).abs().mean(dim=(1, 2, 3, 4), keepdim=True)
        return Direction(fake, real, ((fake - real) / distance).nan_to_num())

    def loss(
        self, x: Tensor, noise: Tensor, t: Tensor, conditioning: Conditioning, mask: Tensor | None = None
    ) -> Tensor:
        """Return a scalar in fp64 whose gradient to x is the normalised one over the number of elements.

        Args:
            x, noise, t, conditioning: as for `direction`; gradients go into x.
            mask: frames that count, [B, F] bool; all by default.
        """
        gradient = self.direction(x, noise, t, conditioning).gradient
        target = (x.double() - gradient.double()).detach()
        return 0.5 * masked_mean((x.double() - target) ** 2, mask)


def masked_mean(x: Tensor, mask: Tensor | None) -> Tensor:
    """Return the mean over frames that count: x [B, F, ...], mask [B, F] bool or None for all -> scalar."""
    if mask is None:
        return x.mean()
    # Multiplied, not indexed: an index of unknown size would make the host wait for the device.
    counted = mask.to(x.dtype)
    mean: Tensor = (x.flatten(2).mean(dim=2) * counted).sum() / counted.sum()
    return mean
