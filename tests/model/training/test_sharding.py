"""Spread networks compute what whole ones do, in one process that is spread over itself."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from longtake.model.errors import ConfigError
from longtake.model.training.objectives.rollout import Rollout
from longtake.model.training.objectives.scores import BidirectionalScore, Conditioning
from longtake.model.training.objectives.self_forcing import DrawnNoise, Draws
from longtake.model.training.sharding import Averages, clip_gradients, leave_mesh, make_mesh, spread, whole

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def group() -> Iterator[None]:
    yield
    leave_mesh()


def test_a_rollout_has_the_gradients_of_a_whole_network(small: Any) -> None:
    config = small.config()
    text = small.embedding(config, 1)
    plain, spread_out = small.transformer(config), small.transformer(config)
    spread(spread_out, make_mesh(CPU), compute=torch.float32)
    for checkpointing in (False, True):
        losses: list[Tensor] = []
        for network in (plain, spread_out):
            network.zero_grad(set_to_none=True)
            rollout = Rollout(network, config, checkpointing=checkpointing, dtype=torch.float32)
            world = rollout.open(Conditioning(text=text), DrawnNoise(Draws(seed=3), 1))
            losses.append(rollout.extend(world, blocks=3, exit_step=1).square().mean())
            losses[-1].backward()
        torch.testing.assert_close(losses[1], losses[0])
        wanted = dict(plain.named_parameters())
        for name, parameter in spread_out.named_parameters():
            grad = wanted[name].grad
            assert (parameter.grad is None) == (grad is None), name
            if grad is not None and parameter.grad is not None:
                torch.testing.assert_close(whole(parameter.grad), grad, rtol=1e-4, atol=1e-7, msg=name)


def test_a_score_has_the_gradients_of_a_whole_network(small: Any) -> None:
    config = small.config()
    rollout = Rollout(small.transformer(config), config)
    x = torch.randn(1, 3, *config.transformer.latent_shape, generator=torch.Generator().manual_seed(0))
    conditioning, t = Conditioning(text=small.embedding(config, 1)), torch.tensor([500.0])
    plain, spread_out = small.transformer(config), small.transformer(config)
    spread(spread_out, make_mesh(CPU), compute=torch.float32)
    for network in (plain, spread_out):
        BidirectionalScore(network, rollout.schedule).clean(x, t, conditioning, x).square().mean().backward()
    for name, parameter in plain.named_parameters():
        grad = spread_out.get_parameter(name).grad
        assert parameter.grad is not None, name
        assert grad is not None, name
        torch.testing.assert_close(whole(grad), parameter.grad, rtol=1e-4, atol=1e-7, msg=name)


def test_an_update_is_seen_although_no_backward_came_between(small: Any) -> None:
    config = small.config()
    network = small.transformer(config)
    spread(network, make_mesh(CPU), compute=torch.float32)
    text = small.embedding(config, 1)
    with torch.no_grad():
        before = network.embed_text(text)
        for parameter in network.parameters():
            parameter.mul_(2)
        assert not torch.equal(network.embed_text(text), before)


def test_gradients_are_clipped_together_and_an_infinite_one_becomes_zero() -> None:
    module = nn.Linear(3, 2)
    for parameter in module.parameters():
        parameter.grad = torch.full_like(parameter, 4.0)
    assert float(clip_gradients(module.parameters(), 1.0)) == pytest.approx(4 * 8**0.5)
    assert float(clip_gradients(module.parameters(), 10.0)) == pytest.approx(1.0, abs=1e-5)
    module.weight.grad = torch.full_like(module.weight, float("inf"))
    clip_gradients(module.parameters(), 1.0)
    assert all(p.grad is not None and not p.grad.any() for p in module.parameters())


def test_an_average_is_a_copy_until_it_starts() -> None:
    module = nn.Linear(1, 1, bias=False)
    averages = Averages(module, 0.75)
    old = copy.deepcopy(averages.values)
    with torch.no_grad():
        module.weight.add_(1)
    averages.update(started=False)
    torch.testing.assert_close(averages.values["weight"], old["weight"] + 1)
    with torch.no_grad():
        module.weight.add_(1)
    averages.update(started=True)
    torch.testing.assert_close(averages.values["weight"], old["weight"] + 1.25)


def test_ranks_that_cannot_be_shared_out_are_refused() -> None:
    with pytest.raises(ConfigError, match="shard_ranks 2 does not divide the 1 ranks"):
        make_mesh(CPU, 2)
