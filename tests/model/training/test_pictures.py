import pytest
import torch
from torch import Tensor

from longtake.model.training.objectives.pictures import PictureLossConfig, motion_error, picture_loss, unlikeness


@pytest.fixture
def drawn() -> Tensor:
    """A clip [1, 8, 3, 32, 32] of stripes that move by a pixel a frame."""
    columns = torch.arange(32) - torch.arange(8.0)[:, None]
    wave = 0.5 + 0.3 * torch.sin(columns * (2 * torch.pi / 8))
    return wave[None, :, None, None].expand(1, 8, 3, 32, 32).contiguous()


def loss_of(made: Tensor, drawn: Tensor, **weights: float) -> float:
    return float(picture_loss(made, drawn, torch.ones_like(drawn[:, :, :1]), PictureLossConfig(**weights))[0])


def test_the_same_clip_has_no_loss(drawn: Tensor) -> None:
    assert loss_of(drawn, drawn) == pytest.approx(0, abs=1e-6)


def test_energy_asks_for_full_contrast_where_squared_error_asks_for_less(drawn: Tensor) -> None:
    torch.manual_seed(0)
    # Half of what can be seen of the stripes is noise: the estimate with the least squared error has half the contrast.
    guess = 0.5 + (drawn - 0.5) + drawn.roll(2, -1) - 0.5
    contrasts = [0.3, 0.5, 0.7, 1.0]
    scaled = [0.5 + (guess - 0.5) * contrast for contrast in contrasts]
    errors = [float((each - drawn).square().mean()) for each in scaled]
    unlike = [sum(float(x) for x in unlikeness(each, drawn)) for each in scaled]
    assert contrasts[errors.index(min(errors))] == 0.5
    assert contrasts[unlike.index(min(unlike))] == 0.7


def test_noise_never_makes_a_clip_more_alike(drawn: Tensor) -> None:
    torch.manual_seed(0)
    faint = 0.5 + (drawn - 0.5) * 0.3
    noisy = faint + 0.1 * torch.randn_like(faint)
    assert all(a < b for a, b in zip(unlikeness(faint, drawn), unlikeness(noisy, drawn), strict=True))


def test_a_still_clip_is_unlike_in_time_alone(drawn: Tensor) -> None:
    still = drawn[:, :1].expand_as(drawn)
    space, time = unlikeness(still, drawn)
    assert float(time) > 0.99 > float(space)


def test_an_error_that_comes_in_at_once_costs_more_motion_than_one_that_comes_in_evenly(drawn: Tensor) -> None:
    jump, fade = torch.zeros_like(drawn), torch.zeros_like(drawn)
    jump[:, 4:] = 0.1
    for frame, share in enumerate([0.0, 0.25, 0.5, 0.75], start=1):
        fade[:, frame] = 0.1 * share
    fade[:, 5:] = 0.1
    ratio = float(motion_error(jump, drawn)) / float(motion_error(fade, drawn))
    assert ratio == pytest.approx(2.0, abs=0.1)
    assert loss_of(drawn + jump, drawn, motion=1.0) > loss_of(drawn + jump, drawn, motion=0.5)


def test_motion_is_judged_by_what_moves(drawn: Tensor) -> None:
    faint = 0.5 + (drawn - 0.5) * 0.1
    error = torch.zeros_like(drawn)
    error[:, ::2] = 0.05
    assert float(motion_error(0.1 * error, faint)) == pytest.approx(float(motion_error(error, drawn)), rel=0.05)
