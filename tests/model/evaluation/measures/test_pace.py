import numpy as np
import pytest

from longtake.model.evaluation.figures import DRAWN, GENERATED, Sample
from longtake.model.evaluation.measures.base import QUICK
from longtake.model.evaluation.measures.pace import Pace, pace_of, quotients
from longtake.model.evaluation.studio import Studio
from tests.model.evaluation.scrolling import Scroller, scrolled


def test_the_pace_of_a_picture_that_scrolls_is_known() -> None:
    assert pace_of(scrolled(3, np.arange(40) * 2.0, np.zeros(40)), 4) == pytest.approx(8, abs=0.5)


def test_fast_over_slow_is_what_the_world_does() -> None:
    (figure,) = Pace().figures([Pace().shoot(Studio(Scroller()), 0, QUICK)])
    assert figure.value == pytest.approx(2.5, rel=0.1)
    assert figure.drawn == pytest.approx(2.5, rel=0.15)
    assert figure.verdict == "met"


def test_a_world_that_stands_still_when_slow_is_not_fast_by_that() -> None:
    drawn = {"fast": 10.0, "slow": 4.0}
    stands = Sample(values={GENERATED: {"fast": 2.0, "slow": 0.1}, DRAWN: drawn})
    obeys = Sample(values={GENERATED: {"fast": 9.0, "slow": 3.0}, DRAWN: drawn})
    assert quotients([stands, obeys], GENERATED) == [1.0, 3.0]
    assert quotients([stands], DRAWN) == [2.5]
