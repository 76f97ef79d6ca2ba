import numpy as np
import pytest

from longtake.model.evaluation.film_drift import film_drift, windows
from tests.model.evaluation.scrolling import scrolled


def test_windows_end_at_the_moments_of_drift() -> None:
    assert windows(25, 16) == [(48, 80), (288, 320), (368, 400)]
    assert windows(6, 16) == []


def test_a_film_that_fades_and_slows_is_found_out() -> None:
    early = scrolled(1, np.arange(16) * 4.0, np.zeros(16))
    faded = (early // 2 + 64).astype(np.uint8)
    slow = scrolled(1, np.arange(16) * 1.0, np.zeros(16))
    first, half, slower = film_drift([(5.0, early), (20.0, faded), (40.0, slow)])
    assert (first.colour, first.sharpness, first.motion) == (0, 1, 1)
    assert half.sharpness == pytest.approx(0.25, abs=0.02)
    assert half.motion == pytest.approx(0.5, abs=0.03)
    assert half.colour == pytest.approx(abs(float(faded.mean()) - float(early.mean())), abs=0.01)
    assert slower.motion < 0.5
    assert slower.sharpness == pytest.approx(1, abs=0.1)
