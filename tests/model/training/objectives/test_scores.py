"""Scores: a window without a mask, at one timestep."""

from typing import Any

import pytest
import torch

from longtake.model.errors import ShapeError
from longtake.model.generation.schedule import Schedule
from longtake.model.training.objectives.scores import BidirectionalScore, Conditioning, guided


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
    together = score.clean(xt, t, Conditioning(text=text))
    for index in range(2):
        part = slice(index, index + 1)
        alone = score.clean(xt[part], t[part], Conditioning(text=text[part]))
        torch.testing.assert_close(together[part], alone, rtol=1e-4, atol=1e-5)


def test_the_clean_latents_follow_from_the_schedule(small: Any, config: Any) -> None:
    transformer, conditioning = small.transformer(config), Conditioning(text=small.embedding(config, 1))
    xt, t = window(config), torch.tensor([20.0])
    sigma = {shift: float(Schedule(shift).sigma(t)) for shift in (5.0, 8.0)}
    for shift in sigma:
        score = BidirectionalScore(transformer, Schedule(shift))
        wanted = xt - sigma[shift] * score.flow(xt, t, conditioning)
        torch.testing.assert_close(score.clean(xt, t, conditioning), wanted)
    # What the reference's second table comes to at the lowest noise.
    assert sigma[8.0] / sigma[5.0] == pytest.approx(1.19, abs=0.01)


def test_guidance(small: Any, config: Any) -> None:
    score = BidirectionalScore(small.transformer(config), Schedule(5.0))
    wanted, unwanted = (Conditioning(text=small.embedding(config, seed)) for seed in (1, 2))
    xt, t = window(config), torch.tensor([600.0])
    a, b = score.clean(xt, t, wanted), score.clean(xt, t, unwanted)
    assert torch.equal(guided(score, xt, t, wanted, unwanted, 0.0), a)
    torch.testing.assert_close(guided(score, xt, t, wanted, unwanted, 3.0), 4 * a - 3 * b, rtol=1e-4, atol=1e-5)
    assert not guided(score, xt, t, wanted, unwanted, 3.0).requires_grad


def test_actions_are_cut_by_frame() -> None:
    whole = Conditioning(text=torch.zeros(1, 2, 3), actions=torch.arange(12.0).view(1, 6, 2))
    part = whole.between(2, 5)
    assert part.actions is not None
    assert torch.equal(part.actions, torch.arange(12.0).view(1, 6, 2)[:, 2:5])
    with pytest.raises(ShapeError, match="do not reach frame 6"):
        whole.between(4, 7)
