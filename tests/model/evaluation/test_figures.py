import math

import pytest

from longtake.model.evaluation.figures import Figure, Goal, bootstrap, mean, ratio, share


def test_a_goal_is_met_or_missed_and_nothing_meets_it_by_being_no_number() -> None:
    assert Figure(name="x", value=0.9, goal=Goal(limit=0.9)).verdict == "met"
    assert Figure(name="x", value=1.5, goal=Goal(limit=1.4, above=False)).verdict == "missed"
    assert Figure(name="x", value=math.nan, goal=Goal(limit=1.4, above=False)).verdict == "missed"
    assert Figure(name="x", value=1.0).verdict == ""
    assert (str(Goal(limit=0.9)), str(Goal(limit=1.4, above=False))) == (">= 0.9", "<= 1.4")


def test_an_interval_holds_the_mean_and_narrows_with_more_items() -> None:
    few, many = [0.0, 1.0] * 4, [0.0, 1.0] * 60
    low, high = bootstrap(few, mean)
    close, far = bootstrap(many, mean)
    assert 0 <= low < close < 0.5 < far < high <= 1
    assert bootstrap(few, mean) == (low, high)
    assert math.isnan(bootstrap([1.0], mean)[0])


def test_shares_and_ratios() -> None:
    found = share("x", [1.0, 1.0, 0.0, 1.0])
    assert (found.value, found.samples) == (0.75, 4)
    assert found.interval[0] < 0.75 < found.interval[1]
    assert ratio([1.0, 3.0], [1.0, 1.0]) == pytest.approx(2)
    assert math.isnan(ratio([], []))
    assert math.isnan(mean([]))
