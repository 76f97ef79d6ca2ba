"""ODE initialisation on teachers whose trajectories are known."""

from typing import Any

import pytest
import torch
from torch import Tensor

from longtake.model.errors import ShapeError
from longtake.model.generation.schedule import Schedule
from longtake.model.training.objectives.ode import (
    BidirectionalTeacher,
    CausalTeacher,
    OdeRegression,
    ode_timesteps,
    ode_trajectory,
)
from longtake.model.training.objectives.rollout import Rollout
from longtake.model.training.objectives.scores import BidirectionalScore, Conditioning
from longtake.model.training.objectives.self_forcing import Draws

SCHEDULE = Schedule(5.0)
KEPT = SCHEDULE.warp((1000, 750, 500, 250))


def noise(frames: int = 6) -> Tensor:
    return torch.randn(1, frames, 16, 4, 6, generator=torch.Generator().manual_seed(0))


def test_the_solver_passes_through_the_samplers_steps() -> None:
    timesteps = ode_timesteps(SCHEDULE, 10, KEPT)
    assert timesteps == sorted(set(timesteps), reverse=True)
    assert set(KEPT) <= set(timesteps)
    assert timesteps[0] == 1000.0
    assert timesteps[-1] == 0.0


def test_a_straight_trajectory_is_exact() -> None:
    """All the teacher's latents are one point, so that its paths are straight lines."""
    point, start = 2.0, noise()

    def flow(x: Tensor, t: float) -> Tensor:
        return (x - point) / SCHEDULE.sigma(torch.tensor(t))

    path = ode_trajectory(flow, start, SCHEDULE, KEPT, steps=3)
    assert path.shape == (5, *start.shape)
    for t, x in zip(KEPT, path, strict=False):
        sigma = SCHEDULE.sigma(torch.tensor(t))
        torch.testing.assert_close(x, (1 - sigma) * point + sigma * start, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(path[-1], torch.full_like(start, point), rtol=1e-5, atol=1e-5)


def test_more_steps_come_nearer_to_a_gaussians_trajectory() -> None:
    """Latents of a normal distribution of deviation 0.5: their paths keep their rank, so the end is start * 0.5."""

    def flow(x: Tensor, t: float) -> Tensor:
        s = float(SCHEDULE.sigma(torch.tensor(t)))
        variance = (1 - s) ** 2 * 0.25 + s**2
        return x * (s - (1 - s) * 0.25) / variance

    start = noise()
    errors = [float((ode_trajectory(flow, start, SCHEDULE, KEPT, steps=n)[-1] - 0.5 * start).norm()) for n in (4, 64)]
    assert errors[1] < 0.3 * errors[0]
    assert errors[1] < 0.05 * float(start.norm())


def test_every_step_of_the_sampler_is_learned_by_the_cache_of_play_time(small: Any) -> None:
    config = small.config()
    rollout = Rollout(small.transformer(config), config)
    path = torch.stack([noise()] * 4 + [torch.full_like(noise(), 0.5)])
    objective, draws = OdeRegression(rollout), Draws(seed=0)
    conditioning = Conditioning(text=small.embedding(config, 1))
    optimizer = torch.optim.Adam(rollout.transformer.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = objective.loss(conditioning, path, draws)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])


def test_the_loss_is_zero_for_a_student_that_knows(small: Any) -> None:
    config = small.config()
    rollout = Rollout(small.transformer(config), config)
    conditioning = Conditioning(text=small.embedding(config, 1))
    step = Draws(seed=0).choose(4)
    path = torch.stack([noise(3)] * 5)
    world = rollout.open(conditioning, noise=None)  # type: ignore[arg-type]
    path[-1] = rollout.teach(world, path[step], step, path[-1]).detach()
    assert float(OdeRegression(rollout).loss(conditioning, path, Draws(seed=0)).detach()) < 1e-10


def test_a_trajectory_of_other_steps_is_refused(small: Any) -> None:
    config = small.config()
    objective = OdeRegression(Rollout(small.transformer(config), config))
    with pytest.raises(ShapeError, match=r"is not \[5, B, whole blocks of 3"):
        objective.loss(Conditioning(text=small.embedding(config, 1)), torch.zeros(4, 1, 6, 16, 4, 6), Draws(seed=0))


def teachers(small: Any, *, guidance: float = 0.0) -> tuple[Any, BidirectionalTeacher, CausalTeacher]:
    config = small.config()
    network, negative = small.transformer(config), Conditioning(text=small.embedding(config, 9))
    score = BidirectionalScore(network, Schedule(config.shift))
    both = BidirectionalTeacher(score, negative, config.timesteps, steps=10, guidance=guidance)
    return config, both, CausalTeacher(network, config, steps=10)


def test_both_teachers_make_the_same_first_block(small: Any) -> None:
    """It has no past, so it makes no difference that one of them is causal."""
    config, both, causal = teachers(small)
    conditioning = Conditioning(text=small.embedding(config, 1))
    first = both.trajectory(conditioning, 3, Draws(seed=4))
    second = causal.trajectory(conditioning, 3, Draws(seed=4))
    assert first.shape == (5, 1, 3, *config.transformer.latent_shape)
    assert (first[-1] - first[0]).norm() > 0.1
    torch.testing.assert_close(second, first, rtol=1e-3, atol=1e-4)


def test_a_causal_teachers_second_block_knows_the_first(small: Any) -> None:
    config, _, causal = teachers(small)
    conditioning = Conditioning(text=small.embedding(config, 1))
    whole = causal.trajectory(conditioning, 6, Draws(seed=4))
    assert whole.shape == (5, 1, 6, *config.transformer.latent_shape)
    draws = Draws(seed=4)
    draws.noise(1, 1, 3, *config.transformer.latent_shape)
    alone = causal.trajectory(conditioning, 3, draws)
    torch.testing.assert_close(alone[0], whole[0, :, 3:])
    assert (alone[-1] - whole[-1, :, 3:]).norm() > 1e-3


def test_guidance_leads_away_from_the_negative_prompt(small: Any) -> None:
    config, plain, _ = teachers(small)
    _, pushed, _ = teachers(small, guidance=4.0)
    conditioning = Conditioning(text=small.embedding(config, 1))
    x, t = torch.randn(1, 3, *config.transformer.latent_shape), torch.tensor([500.0])
    wanted, unwanted = (plain.score.flow(x, t, each) for each in (conditioning, plain.negative))
    assert (wanted - unwanted).norm() > 1e-3
    one = BidirectionalTeacher(pushed.score, pushed.negative, (1000.0,), steps=1, guidance=4.0)
    end = one.trajectory(conditioning, 3, Draws(seed=4))
    start = end[0]
    at = torch.tensor([1000.0])
    flows = [pushed.score.flow(start, at, each).detach() for each in (conditioning, pushed.negative)]
    torch.testing.assert_close(end[-1], start - (flows[0] + 4 * (flows[0] - flows[1])), rtol=1e-4, atol=1e-4)
