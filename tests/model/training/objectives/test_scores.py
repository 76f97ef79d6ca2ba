"""Scores: a window without a mask, at one timestep."""

from typing import Any

import pytest
import torch

from longtake.model.errors import ShapeError
from longtake.model.generation.noise import SeededNoise
from longtake.model.generation.schedule import Schedule
from longtake.model.training.objectives.rollout import Rollout
from longtake.model.training.objectives.scores import BidirectionalScore, CausalScore, Conditioning, guided
from longtake.model.training.objectives.window import WindowAttention


@pytest.fixture
def config(small: Any) -> Any:
    return small.config()


def window(config: Any, frames: int = 5) -> torch.Tensor:
    return torch.randn(1, frames, *config.transformer.latent_shape, generator=torch.Generator().manual_seed(3))


def test_every_frame_sees_every_frame(small: Any, config: Any) -> None:
    transformer, text = small.transformer(config), small.embedding(config, 1)
    plain = small.plain(transformer, config, text)
    xt = window(config)
    wanted = plain.forward(range(5), xt, 500.0, range(5))
    made = BidirectionalScore(transformer, Schedule(5.0)).flow(xt, torch.tensor([500.0]), Conditioning(text=text))
    assert small.error(made, wanted) < 1e-5


def test_members_of_a_batch_have_their_own_timestep(small: Any, config: Any) -> None:
    score = BidirectionalScore(small.transformer(config), Schedule(5.0))
    xt, text = window(config).expand(2, -1, -1, -1, -1), small.embedding(config, 1, batch=2)
    t = torch.tensor([100.0, 900.0])
    together = score.clean(xt, t, Conditioning(text=text), xt)
    for index in range(2):
        part = slice(index, index + 1)
        alone = score.clean(xt[part], t[part], Conditioning(text=text[part]), xt[part])
        torch.testing.assert_close(together[part], alone, rtol=1e-4, atol=1e-5)


def test_the_clean_latents_follow_from_the_schedule(small: Any, config: Any) -> None:
    transformer, conditioning = small.transformer(config), Conditioning(text=small.embedding(config, 1))
    xt, t = window(config), torch.tensor([20.0])
    sigma = {shift: float(Schedule(shift).sigma(t)) for shift in (5.0, 8.0)}
    for shift in sigma:
        score = BidirectionalScore(transformer, Schedule(shift))
        wanted = xt - sigma[shift] * score.flow(xt, t, conditioning)
        torch.testing.assert_close(score.clean(xt, t, conditioning, xt), wanted)
    # What the reference's second table comes to at the lowest noise.
    assert sigma[8.0] / sigma[5.0] == pytest.approx(1.19, abs=0.01)


def test_guidance(small: Any, config: Any) -> None:
    score = BidirectionalScore(small.transformer(config), Schedule(5.0))
    wanted, unwanted = (Conditioning(text=small.embedding(config, seed)) for seed in (1, 2))
    xt, t = window(config), torch.tensor([600.0])
    a, b = score.clean(xt, t, wanted, xt), score.clean(xt, t, unwanted, xt)
    assert torch.equal(guided(score, xt, t, wanted, unwanted, xt, guidance=0.0), a)
    strong = guided(score, xt, t, wanted, unwanted, xt, guidance=3.0)
    torch.testing.assert_close(strong, 4 * a - 3 * b, rtol=1e-4, atol=1e-5)
    assert not strong.requires_grad


def test_a_causal_score_judges_a_frame_as_the_cache_would_make_it(small: Any) -> None:
    config = small.config(block_frames=1, window_frames=4, sink_frames=1, positions="relative")
    transformer, conditioning = small.transformer(config), Conditioning(text=small.embedding(config, 1))
    rollout, step = Rollout(transformer, config), 2
    context, xt = torch.randn(2, 1, 7, *config.transformer.latent_shape, generator=torch.Generator().manual_seed(3))
    world = rollout.open(conditioning, SeededNoise([0]))
    wanted = [rollout.teach(world, xt[:, i : i + 1], step, context[:, i : i + 1]) for i in range(7)]
    score = CausalScore(
        transformer, rollout.schedule, lambda frames, copies: WindowAttention(config, frames, copies, torch.float32)
    )
    made = score.clean(xt, torch.tensor([rollout.timesteps[step]]), conditioning, context)
    assert small.error(made, torch.cat(wanted, dim=1)) < 1e-5


def test_actions_are_cut_by_frame() -> None:
    whole = Conditioning(text=torch.zeros(1, 2, 3), actions=torch.arange(12.0).view(1, 6, 2))
    part = whole.between(2, 5)
    assert part.actions is not None
    assert torch.equal(part.actions, torch.arange(12.0).view(1, 6, 2)[:, 2:5])
    with pytest.raises(ShapeError, match="do not reach frame 6"):
        whole.between(4, 7)
