from collections.abc import Callable

import numpy as np
import pytest

from longtake.model.diorama.art import weather

VEILS = [
    (weather.rain, weather.RAIN_DRIFT, 4),
    (weather.snow, weather.SNOW_DRIFT, 1),
    (weather.banks, weather.BANK_DRIFT, 1),
]


@pytest.mark.parametrize(("draw", "drift", "limit"), VEILS)
def test_a_veil_drifts_slowly_and_is_back_on_whole_units_after_a_latent_frame_or_four(
    draw: Callable[[int], weather.Veil], drift: tuple[float, float], limit: float
) -> None:
    assert np.hypot(*drift) <= limit
    assert all((16 * step).is_integer() for step in drift)
    veil = draw(1)
    frames = [veil.cut(-drift[0] * t, -drift[1] * t) for t in range(17)]
    dx, dy = (round(16 * step) for step in drift)
    moved = np.roll(frames[0], (dy, dx), (0, 1))
    inner = (slice(max(dy, 0), None), slice(0, 160 + min(dx, 0)))
    assert np.allclose(frames[16][inner], moved[inner], atol=1 / 255)


@pytest.mark.parametrize("scale", [1, 2])
def test_a_veil_tiles(scale: int) -> None:
    veil = weather.rain(scale)
    assert np.array_equal(veil.cut(5.5, 7.25), veil.cut(5.5 + 96, 7.25 - 96))


def test_strokes_slant_the_way_they_fall() -> None:
    veil = weather.rain(1)
    here = veil.cut(0, 0)
    along, across = (np.abs(veil.cut(dx, 3.0) - here).mean() for dx in (-1.0, 1.0))
    assert along < 0.8 * across
