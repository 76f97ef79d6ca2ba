import pytest
import torch

from longtake.model.generation.schedule import Schedule


def test_steps_are_warped_and_not_rounded() -> None:
    assert Schedule(5.0).warp((1000, 750, 500, 250)) == pytest.approx([1000, 937.5, 833.3333, 625], rel=1e-6)
    assert Schedule(2.5).warp((1000, 750, 500, 250)) == pytest.approx([1000, 882.353, 714.286, 454.545], rel=1e-5)
    assert Schedule(5.0).warp((1000, 0)) == [1000, 0]


def test_sigma_is_the_nearest_timesteps() -> None:
    schedule = Schedule(5.0)
    assert schedule.sigma(torch.tensor(937.5)).item() == pytest.approx(0.9375)
    between = (schedule.timesteps[10] * 0.6 + schedule.timesteps[11] * 0.4).reshape(1)
    assert schedule.sigma(between).item() == schedule.sigmas[10].item()


def test_clean_undoes_add_noise_given_the_true_flow() -> None:
    schedule = Schedule(5.0)
    x0, noise = torch.randn(2, 3, 4, 2, 2)
    t = torch.tensor([1000.0, 625.0, 833.0])
    xt = schedule.add_noise(x0, noise, t)
    assert torch.allclose(schedule.clean(xt, noise - x0, t), x0, atol=1e-6)
    assert torch.allclose(schedule.flow(x0, xt, t), noise - x0, atol=1e-5)


def test_types_are_kept() -> None:
    schedule = Schedule(5.0)
    x0, noise = torch.randn(2, 1, 4, 2, 2).bfloat16()
    t = torch.tensor([500.0])
    assert schedule.add_noise(x0, noise, t).dtype == torch.bfloat16
    assert schedule.clean(x0, noise, t).dtype == torch.bfloat16
