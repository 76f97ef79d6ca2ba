"""The fake score's loss."""

from typing import Any

import torch
from torch import Tensor

from longtake.model.generation.schedule import Schedule
from longtake.model.training.objectives.critic import critic_flow, critic_loss
from longtake.model.training.objectives.scores import BidirectionalScore, Conditioning

SCHEDULE = Schedule(5.0)
T = torch.tensor([800.0])


class Oracle:
    """A score that knows the clean latents, off by an error."""

    def __init__(self, x: Tensor, error: float = 0.0) -> None:
        self.x, self.error = x, error

    def clean(self, xt: Tensor, t: Tensor, conditioning: Conditioning, context: Tensor) -> Tensor:
        return self.x + self.error


def window() -> tuple[Tensor, Tensor]:
    x, noise = torch.randn(2, 1, 4, 16, 4, 6, generator=torch.Generator().manual_seed(0))
    return x, noise


NOBODY = Conditioning(text=torch.zeros(1, 1, 1))


def test_who_knows_the_latents_has_no_loss() -> None:
    x, noise = window()
    assert float(critic_loss(Oracle(x), SCHEDULE, x, noise, T, NOBODY)) < 1e-10
    torch.testing.assert_close(critic_flow(Oracle(x), SCHEDULE, x, noise, T, NOBODY), noise - x, rtol=1e-4, atol=1e-5)


def test_an_error_weighs_by_the_noise_level() -> None:
    x, noise = window()
    loss = critic_loss(Oracle(x, error=0.1), SCHEDULE, x, noise, T, NOBODY)
    torch.testing.assert_close(loss, (0.1 / SCHEDULE.sigma(T)[0]) ** 2, rtol=1e-4, atol=1e-6)


def test_a_mask_counts_only_its_frames() -> None:
    x, noise = window()
    wrong = x.clone()
    wrong[:, 0] += 1
    mask = torch.tensor([[False, True, True, True]])
    assert float(critic_loss(Oracle(wrong), SCHEDULE, x, noise, T, NOBODY)) > 0.1
    assert float(critic_loss(Oracle(wrong), SCHEDULE, x, noise, T, NOBODY, mask)) < 1e-10


def test_only_the_score_learns(small: Any) -> None:
    config = small.config()
    fake = BidirectionalScore(small.transformer(config), SCHEDULE)
    x, noise = window()
    x.requires_grad_()
    critic_loss(fake, SCHEDULE, x, noise, T, Conditioning(text=small.embedding(config, 1))).backward()
    assert x.grad is None
    assert all(p.grad is not None for p in fake.network.parameters())
