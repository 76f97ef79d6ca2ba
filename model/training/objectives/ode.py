"""ODE initialisation: before self-forcing, the few-step student learns where its teacher's trajectories end.

A trajectory is the teacher's own path from noise to clean latents in many small steps. The student is shown it at one
of its sampler's few noise levels, block by block with the clean end as its past, and learns to name the end at once
(CausVid, arXiv 2412.07772). So it starts self-forcing with a sampler that works, if coarsely.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol

import torch
from torch import Tensor

from longtake.model.config import GeneratorConfig, even_timesteps
from longtake.model.errors import ConfigError, ShapeError
from longtake.model.generation.schedule import Schedule
from longtake.model.network.transformer import Transformer
from longtake.model.ops.attention import Attention, sdpa
from longtake.model.training.objectives.rollout import Rollout
from longtake.model.training.objectives.scores import BidirectionalScore, Conditioning
from longtake.model.training.objectives.self_forcing import DrawnNoise, Draws

Flow = Callable[[Tensor, float], Tensor]
"""A teacher: the flow of latents [B, F, C, h, w] at a timestep, 0 to 1000 (guidance included)."""


def ode_timesteps(schedule: Schedule, steps: int, kept: Sequence[float]) -> list[float]:
    """Return a solver's timesteps, falling from 1000 to 0: even steps, shifted, and those to be kept."""
    if steps < 1:
        raise ConfigError(f"steps must be at least 1, not {steps}")
    even = schedule.warp(even_timesteps(steps))
    return [*sorted({*even, *kept}, reverse=True), 0.0]


@torch.no_grad()
def ode_trajectory(flow: Flow, noise: Tensor, schedule: Schedule, kept: Sequence[float], *, steps: int = 48) -> Tensor:
    """Follow a teacher from noise to clean latents with Euler's steps.

    Args:
        flow: the teacher.
        noise: where it starts, [B, F, C, h, w].
        schedule: of the noise levels.
        kept: the student's timesteps, falling; the first is that of pure noise.
        steps: of the solver; the kept timesteps are added to them.

    Returns:
        The latents at each kept timestep, and the clean end: [len(kept) + 1, B, F, C, h, w].
    """
    timesteps = ode_timesteps(schedule, steps, kept)
    sigmas = [*schedule.sigma(torch.tensor(timesteps[:-1])).tolist(), 0.0]
    x, found = noise, dict[float, Tensor]()
    for index, t in enumerate(timesteps[:-1]):
        if t in kept:
            found[t] = x
        x = x + (sigmas[index + 1] - sigmas[index]) * flow(x, t)
    return torch.stack([*(found[t] for t in kept), x])


class Teacher(Protocol):
    """Makes trajectories under a prompt."""

    def trajectory(self, conditioning: Conditioning, frames: int, draws: Draws) -> Tensor:
        """Return latents at each of the student's steps and the clean end: [steps + 1, B, frames, C, h, w] float32.

        Args:
            conditioning: what they are made under.
            frames: latent frames, whole blocks.
            draws: the noise they start from.
        """
        ...


class BidirectionalTeacher:
    """A teacher that sees all frames at once, as Wan does.

    Args:
        score: the network.
        negative: what it is pushed away from, for a batch of one.
        timesteps: the student's sampler, before the shift warps them.
        steps: of the solver.
        guidance: flow = wanted + guidance * (wanted - negative); 0 leaves the negative prompt out.
    """

    def __init__(
        self,
        score: BidirectionalScore,
        negative: Conditioning,
        timesteps: Sequence[float],
        *,
        steps: int,
        guidance: float,
    ) -> None:
        self.score, self.negative, self.steps, self.guidance = score, negative, steps, guidance
        self.kept = score.schedule.warp(timesteps)

    @torch.no_grad()
    def trajectory(self, conditioning: Conditioning, frames: int, draws: Draws) -> Tensor:
        """See `Teacher`."""
        batch = len(conditioning.text)
        unwanted = Conditioning(text=self.negative.text.expand(batch, -1, -1), actions=conditioning.actions)

        def flow(x: Tensor, t: float) -> Tensor:
            at = torch.full((batch,), t, device=x.device)
            wanted = self.score.flow(x, at, conditioning).float()
            if not self.guidance:
                return wanted
            return wanted + self.guidance * (wanted - self.score.flow(x, at, unwanted).float())

        noise = draws.noise(batch, frames, *self.score.network.config.latent_shape)
        return ode_trajectory(flow, noise, self.score.schedule, self.kept, steps=self.steps)


class CausalTeacher:
    """A causal teacher: it makes a take block by block, each after the clean ends of those before, as at play time.

    Args:
        network: the teacher.
        config: of the student's generator.
        steps: of the solver; the student's own are added to them.
        attention, dtype: as for `Rollout`.
    """

    def __init__(
        self,
        network: Transformer,
        config: GeneratorConfig,
        *,
        steps: int,
        attention: Attention = sdpa,
        dtype: torch.dtype | None = None,
    ) -> None:
        if steps < 1:
            raise ConfigError(f"steps must be at least 1, not {steps}")
        # The table has a thousand levels, so that steps that are not whole fall onto one.
        even = {float(round(t)) for t in even_timesteps(steps)} - {0.0}
        timesteps = sorted({*even, *config.timesteps}, reverse=True)
        self._own = [timesteps.index(t) for t in config.timesteps]
        config = replace(config, transformer=network.config, timesteps=tuple(timesteps))
        self.rollout = Rollout(network, config, attention=attention, dtype=dtype)

    @torch.no_grad()
    def trajectory(self, conditioning: Conditioning, frames: int, draws: Draws) -> Tensor:
        """See `Teacher`."""
        rollout, count = self.rollout, self.rollout.config.block_frames
        world = rollout.open(conditioning, DrawnNoise(draws, len(conditioning.text)))
        blocks = [self.rollout.solve(world, self._own) for _ in range(frames // count)]
        return torch.cat(blocks, dim=2)


class OdeRegression:
    """The loss of a student on its teacher's trajectories.

    Args:
        rollout: the student, with the cache of play time.
    """

    def __init__(self, rollout: Rollout) -> None:
        self.rollout = rollout

    def loss(self, conditioning: Conditioning, trajectory: Tensor, draws: Draws) -> Tensor:
        """Return the mean squared distance of the student's clean latents to the trajectory's end, a scalar.

        Args:
            conditioning: what the trajectory was made under.
            trajectory: latents at each of the sampler's steps and the end, [steps + 1, B, F, C, h, w]
                (`ode_trajectory`).
            draws: the step of each block.
        """
        rollout, count = self.rollout, self.rollout.config.block_frames
        if trajectory.ndim != 6 or len(trajectory) != rollout.steps + 1 or trajectory.shape[2] % count:
            raise ShapeError(
                f"the trajectory {tuple(trajectory.shape)} is not [{rollout.steps + 1}, B, whole blocks of {count}, "
                "C, h, w]"
            )
        world = rollout.open(conditioning, DrawnNoise(draws, len(conditioning.text)))
        blocks = trajectory.split(count, dim=2)
        made = []
        for block in blocks:
            step = draws.choose(rollout.steps)
            made.append(rollout.teach(world, block[step], step, block[-1]))
        loss: Tensor = (torch.cat(made, dim=1) - trajectory[-1]).square().mean()
        return loss
