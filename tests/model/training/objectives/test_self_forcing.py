"""Self-forcing: random choices, fresh rollouts, and what each loss teaches."""

from typing import Any

import pytest
import torch
from torch import Tensor

from longtake.model.errors import ConfigError
from longtake.model.training.objectives.dmd import DistributionMatching, DmdConfig
from longtake.model.training.objectives.levels import NoiseLevels
from longtake.model.training.objectives.rollout import Rollout
from longtake.model.training.objectives.scores import BidirectionalScore, Conditioning
from longtake.model.training.objectives.self_forcing import Distillation, Draws, FreshRollouts, Prompts
from longtake.model.training.task import Turn


class Known:
    """A score that always sees the same clean latents."""

    def __init__(self, value: float) -> None:
        self.value = value

    def clean(self, xt: Tensor, t: Tensor, conditioning: Conditioning, context: Tensor) -> Tensor:
        return torch.full_like(xt, self.value)


def prompts(small: Any, config: Any, batch: int = 1) -> Prompts:
    return Prompts(Conditioning(text=small.embedding(config, 1, batch=batch)))


def test_ranks_share_their_choices_and_not_their_noise() -> None:
    one, two = (Draws(seed=3, rank=rank) for rank in (0, 1))
    assert [one.choose(4) for _ in range(20)] == [two.choose(4) for _ in range(20)]
    assert not torch.equal(one.noise(2, 3), two.noise(2, 3))


def test_neighbouring_turns_and_ranks_have_noise_of_their_own() -> None:
    drawn = [
        Draws.at(Turn.at(step, seed=3, rank=rank), rank=rank).noise(4).tolist()
        for step in range(3)
        for rank in range(3)
    ]
    assert all(a != b for index, a in enumerate(drawn) for b in drawn[:index])
    assert drawn[4] == Draws.at(Turn.at(1, seed=3, rank=1), rank=1).noise(4).tolist()
    choices = [[Draws.at(Turn.at(step, seed=3, rank=rank)).choose(1000) for step in range(8)] for rank in (0, 1)]
    assert choices[0] == choices[1]
    assert len(set(choices[0])) > 6


def test_fresh_rollouts_leave_at_every_step_and_repeat_by_seed(small: Any) -> None:
    config = small.config()
    rollout = Rollout(small.transformer(config), config)
    source, given = FreshRollouts(rollout, blocks=2), prompts(small, config, batch=2)
    made = [source.next_chunk(given, Draws(seed=seed), gradient=False) for seed in (0, 0, 1)]
    assert torch.equal(made[0].latents, made[1].latents)
    assert not torch.equal(made[0].latents, made[2].latents)
    assert made[0].latents.shape[:2] == (2, 6)
    assert made[0].mask is None
    assert not made[0].latents.requires_grad


def test_long_rollouts_count_only_their_last_frames(small: Any) -> None:
    config = small.config()
    source = FreshRollouts(Rollout(small.transformer(config), config), blocks=4, gradient_frames=6)
    chunk = source.next_chunk(prompts(small, config), Draws(seed=0), gradient=True)
    assert chunk.mask is not None
    assert chunk.mask[0].tolist() == [False] * 6 + [True] * 6
    with pytest.raises(ConfigError, match="gradient_frames"):
        FreshRollouts(source.rollout, gradient_frames=2)


def test_each_loss_teaches_one_network(small: Any) -> None:
    config = small.config()
    rollout = Rollout(small.transformer(config), config)
    real, fake = (BidirectionalScore(small.transformer(config, seed), rollout.schedule) for seed in (1, 2))
    negative = Conditioning(text=small.embedding(config, 9))
    matching = DistributionMatching(DmdConfig(), rollout.schedule, real, fake, negative)
    distillation = Distillation(FreshRollouts(rollout, blocks=2), matching, NoiseLevels())
    networks = {"generator": rollout.transformer, "real": real.network, "fake": fake.network}

    def learning() -> set[str]:
        return {
            name
            for name, network in networks.items()
            if any(p.grad is not None and p.grad.any() for p in network.parameters())
        }

    given, draws = prompts(small, config, batch=2), Draws(seed=0)
    distillation.generator_loss(given, draws).backward()
    assert learning() == {"generator"}
    rollout.transformer.zero_grad()
    distillation.critic_loss(given, draws).backward()
    assert learning() == {"fake"}


@pytest.mark.slow
def test_the_generator_goes_where_the_real_score_points(small: Any) -> None:
    config = small.config()
    rollout = Rollout(small.transformer(config), config)
    source, draws, given = FreshRollouts(rollout, blocks=2), Draws(seed=0), prompts(small, config)
    optimizer = torch.optim.Adam(rollout.transformer.parameters(), lr=1e-2)
    means = []
    for _ in range(40):
        # The fake score knows the generator: it sees the mean of what that makes.
        mean = float(source.next_chunk(given, Draws(seed=1), gradient=False).latents.mean())
        means.append(mean)
        matching = DistributionMatching(DmdConfig(guidance=0.0), rollout.schedule, Known(2.0), Known(mean), given.first)
        optimizer.zero_grad()
        Distillation(source, matching, NoiseLevels()).generator_loss(given, draws).backward()
        optimizer.step()
    assert abs(means[-1] - 2.0) < 0.3 * abs(means[0] - 2.0)
