"""Percentiles and rates over the newest observations."""

import pytest

from longtake.runtime.world.statistics import Rate, Rolling


def test_percentiles_are_nearest_ranks() -> None:
    rolling = Rolling(100)
    for value in range(100, 0, -1):
        rolling.add(value)
    assert rolling.median() == 50
    assert rolling.percentile(99) == 99
    assert rolling.percentile(100) == 100
    assert rolling.percentile(1) == 1


def test_old_observations_leave() -> None:
    rolling = Rolling(3)
    for value in (100.0, 1.0, 2.0, 3.0):
        rolling.add(value)
    assert len(rolling) == 3
    assert rolling.percentile(100) == 3.0


def test_nothing_observed_is_none() -> None:
    assert Rolling().median() is None
    with pytest.raises(ValueError, match="capacity"):
        Rolling(0)


def test_rate_counts_the_last_second() -> None:
    rate = Rate()
    for n in range(32):
        rate.add(n / 16)
    assert rate.per_second(31 / 16) == 16
    assert rate.per_second(31 / 16 + 0.5) == 8
    assert rate.per_second(10) == 0
