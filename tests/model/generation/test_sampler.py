"""Samplers, on a distribution whose flow is known in closed form."""

from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from longtake.model.config import SamplerName
from longtake.model.errors import ConfigError
from longtake.model.generation.sampler import Sampler
from longtake.model.generation.schedule import add_noise

MEAN, SPREAD = 0.7, 0.4
"""of the data, one Gaussian number"""


def seen(xt: Tensor, sigma: float) -> Tensor:
    """The best guess of clean data: the mean of the Gaussian's posterior."""
    alpha = 1 - sigma
    gain = alpha * SPREAD**2 / (alpha**2 * SPREAD**2 + sigma**2)
    return MEAN + gain * (xt - alpha * MEAN)


def sampled(name: SamplerName, sigmas: list[float], noise: Tensor) -> Tensor:
    """Clean latents after all steps."""
    block = Sampler(name, sigmas).begin()
    xt, x0 = noise[0], noise[0]
    for step, sigma in enumerate(sigmas):
        if step:
            xt = block.advance(step - 1, xt, x0, noise)
        x0 = seen(xt, sigma)
    return x0


def even(steps: int) -> list[float]:
    return [1 - step / steps for step in range(steps)]


def test_multistep_follows_the_flow_better_than_euler() -> None:
    noise = torch.linspace(-2, 2, 9, dtype=torch.float64)[None]
    exact = MEAN + SPREAD * noise[0]
    errors, euler = [], []
    for steps in (8, 16, 32):
        errors.append(float((sampled("multistep", even(steps), noise) - exact).abs().max()))
        euler.append(float((sampled("euler", even(steps), noise) - exact).abs().max()))
    assert errors[2] < errors[0] / 4
    assert all(mine < theirs / 3 for mine, theirs in zip(errors, euler, strict=True))


def test_euler_goes_straight_to_the_next_level() -> None:
    noise = torch.linspace(-2, 2, 9, dtype=torch.float64)[None]
    x = noise[0]
    for sigma, after in pairwise([*even(4), 0.0]):
        x = x + (after - sigma) * (x - seen(x, sigma)) / sigma
    torch.testing.assert_close(sampled("euler", even(4), noise), x, rtol=1e-6, atol=1e-6)


def test_renoise_adds_fresh_noise_to_what_was_seen() -> None:
    noise, sigmas = torch.randn(3, 5), [1.0, 0.8, 0.4]
    x0 = torch.randn(5)
    block = Sampler("renoise", sigmas).begin()
    assert torch.equal(block.advance(1, noise[0], x0, noise), add_noise(x0, noise[2], 0.4))


def test_blocks_share_no_memory() -> None:
    noise, sampler = torch.randn(1, 5), Sampler("multistep", even(4))

    def twice() -> Tensor:
        block = sampler.begin()
        xt = block.advance(0, noise[0], noise[0] * 0.1, noise)
        return block.advance(1, xt, noise[0] * 0.2, noise)

    assert torch.equal(twice(), twice())


def test_a_generator_draws_what_its_sampler_takes(small: Any) -> None:
    drawn = []

    class Counting:
        def draw(self, block: int, draws: int, frames: tuple[int, ...]) -> Tensor:
            drawn.append(draws)
            return torch.ones(draws, 1, *frames)

    for name in ("renoise", "multistep", "euler"):
        config = small.config(sampler=name, timesteps=(1000.0, 600.0, 300.0))
        generator = small.generator(config)
        world = generator.open(seed=0, embedding=small.embedding(config, 1), noise=Counting())
        assert generator.step(world).latents.isfinite().all()
        assert config.noise_draws == drawn[-1]
    assert drawn == [3, 1, 1]


def test_a_sampler_that_there_is_not(small: Any) -> None:
    with pytest.raises(ConfigError, match="sampler must be one of renoise, multistep, euler"):
        small.config(sampler="heun")
