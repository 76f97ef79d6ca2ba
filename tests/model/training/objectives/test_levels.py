"""The draw of noise levels."""

import pytest
import torch

from longtake.model.errors import ConfigError
from longtake.model.training.objectives.levels import NoiseLevels


def test_draws_are_shifted_and_clamped() -> None:
    t = NoiseLevels(shift=5.0).timesteps(torch.arange(1000))
    assert t.dtype == torch.float32
    assert torch.all(t[:5] == 20)
    assert torch.all(t[908:] == 980)
    assert torch.all(t[1:] >= t[:-1])
    assert float(t[500]) == pytest.approx(1000 * 2.5 / 3)


def test_a_shift_of_one_leaves_draws_even() -> None:
    t = NoiseLevels(shift=1.0, lowest=0.0, highest=1000.0).timesteps(torch.arange(1000))
    torch.testing.assert_close(t, torch.arange(1000.0))


def test_draws_come_from_the_generator_given() -> None:
    levels = NoiseLevels()
    first, again, other = (levels.draw(8, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert first.shape == (8,)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("fields", [{"shift": 0.0}, {"lowest": 900.0, "highest": 100.0}, {"highest": 1001.0}])
def test_impossible_levels_are_refused(fields: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        NoiseLevels(**fields)
