"""Distribution matching on scores whose answers are known."""

import pytest
import torch
from torch import Tensor, nn

from longtake.model.errors import ConfigError
from longtake.model.generation.schedule import Schedule
from longtake.model.training.objectives.dmd import DistributionMatching, DmdConfig
from longtake.model.training.objectives.scores import Conditioning

NOBODY = Conditioning(text=torch.zeros(1, 1, 1))
SOMEBODY = Conditioning(text=torch.ones(2, 1, 1))
T = torch.tensor([500.0, 700.0])


class Known(nn.Module):
    """A score that always sees the same clean latents; with the empty prompt, other ones."""

    def __init__(self, wanted: float, unwanted: float = 0.0) -> None:
        super().__init__()
        self.wanted, self.unwanted = nn.Parameter(torch.tensor(wanted)), unwanted

    def clean(self, xt: Tensor, t: Tensor, conditioning: Conditioning, context: Tensor) -> Tensor:
        seen = self.wanted if bool(conditioning.text.any()) else torch.tensor(self.unwanted)
        return seen.expand(xt.shape)


def matching(real: Known, fake: Known, guidance: float = 0.0) -> DistributionMatching:
    return DistributionMatching(DmdConfig(guidance=guidance), Schedule(5.0), real, fake, NOBODY)


def window() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    x, noise = torch.randn(2, 2, 6, 3, 4, 5, generator=generator)
    return x.requires_grad_(), noise


def test_the_gradient_is_the_difference_over_the_distance() -> None:
    x, noise = window()
    real, fake = Known(2.0), Known(-1.0)
    loss = matching(real, fake).loss(x, noise, T, SOMEBODY)
    assert loss.dtype == torch.float64
    loss.backward()
    distance = (x - 2.0).abs().mean(dim=(1, 2, 3, 4), keepdim=True)
    torch.testing.assert_close(x.grad, (-3.0 / distance / x.numel()).expand_as(x).detach())
    assert real.wanted.grad is None
    assert fake.wanted.grad is None


def test_guidance_pushes_away_from_the_negative_prompt() -> None:
    x, noise = window()
    made = matching(Known(2.0, unwanted=1.0), Known(0.0), guidance=3.0).direction(x, noise, T, SOMEBODY)
    assert torch.all(made.real == 5.0)


def test_a_mask_counts_only_its_frames_and_the_distance_counts_all() -> None:
    x, noise = window()
    mask = torch.zeros(2, 6, dtype=torch.bool)
    mask[:, 4:] = True
    matching(Known(2.0), Known(-1.0)).loss(x, noise, T, SOMEBODY, mask).backward()
    assert x.grad is not None
    assert torch.all(x.grad[:, :4] == 0)
    distance = (x - 2.0).abs().mean(dim=(1, 2, 3, 4), keepdim=True)
    counted = x[:, 4:].numel()
    torch.testing.assert_close(x.grad[:, 4:], (-3.0 / distance / counted).expand(-1, 2, 3, 4, 5).detach())


def test_latents_that_are_already_there_do_not_give_nan() -> None:
    noise = window()[1]
    made = matching(Known(2.0), Known(2.0)).direction(torch.full_like(noise, 2.0), noise, T, SOMEBODY)
    assert torch.all(made.gradient == 0)


def test_descent_reaches_what_the_real_score_sees() -> None:
    x, noise = window()
    optimizer = torch.optim.SGD([x], lr=40.0)
    for _ in range(200):
        fake = Known(float(x.detach().mean()))
        optimizer.zero_grad()
        matching(Known(3.0), fake).loss(x, noise, T, SOMEBODY).backward()
        optimizer.step()
    assert abs(float(x.detach().mean()) - 3.0) < 0.3


def test_negative_guidance_is_refused() -> None:
    with pytest.raises(ConfigError, match="guidance"):
        DmdConfig(guidance=-1.0)
