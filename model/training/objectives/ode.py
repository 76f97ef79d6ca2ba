"""ODE initialisation: before self-forcing, the few-step student learns where its teacher's trajectories end.

A trajectory is the teacher's own path from noise to clean latents in many small steps. The student is shown it at one
of its sampler's few noise levels, block by block with the clean end as its past, and learns to name the end at once
(CausVid, arXiv 2412.07772). So it starts self-forcing with a sampler that works, if coarsely.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from longtake.model.errors import ConfigError, ShapeError
from longtake.model.generation.schedule import TABLE_STEPS, Schedule
from longtake.model.training.objectives.rollout import Rollout
from longtake.model.training.objectives.scores import Conditioning
from longtake.model.training.objectives.self_forcing import DrawnNoise, Draws

Flow = Callable[[Tensor, float], Tensor]
"""A teacher: the flow of latents [B, F, C, h, w] at a timestep, 0 to 1000 (guidance included)."""


def ode_timesteps(schedule: Schedule, steps: int, kept: Sequence[float]) -> list[float]:
    """Return a solver's timesteps, falling from 1000 to 0: even steps, shifted, and those to be kept."""
    if steps < 1:
        raise ConfigError(f"steps must be at least 1, not {steps}")
    even = schedule.warp([TABLE_STEPS * (1 - step / steps) for step in range(steps)])
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
