import numpy as np
import pytest

from longtake.model.evaluation.measures.base import QUICK
from longtake.model.evaluation.measures.pace import Pace, pace_of
from longtake.model.evaluation.studio import Studio
from tests.model.evaluation.scrolling import Scroller, scrolled


def test_the_pace_of_a_picture_that_scrolls_is_known() -> None:
    assert pace_of(scrolled(3, np.arange(40) * 2.0, np.zeros(40)), 4) == pytest.approx(8, abs=0.5)


def test_fast_over_slow_is_what_the_world_does() -> None:
    (figure,) = Pace().figures([Pace().shoot(Studio(Scroller()), 0, QUICK)])
    assert figure.value == pytest.approx(2.5, rel=0.1)
    assert figure.drawn == pytest.approx(2.5, rel=0.15)
    assert figure.verdict == "met"
