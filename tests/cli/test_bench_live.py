"""Jitter and percentiles of a live session."""

import math

import pytest

from longtake.model.evaluation.bench import Spread
from longtake.runtime.cli import bench_live


def test_jitter_is_the_distance_from_an_even_grid() -> None:
    even = [10 + index / 16 for index in range(40)]
    assert max(bench_live.jitter_ms(even, 16)) == pytest.approx(0, abs=1e-6)
    late = even.copy()
    late[7] += 0.004
    assert max(bench_live.jitter_ms(late, 16)) == pytest.approx(4)
    with_a_gap = even[:10] + even[15:]
    assert max(bench_live.jitter_ms(with_a_gap, 16)) == pytest.approx(0, abs=1e-6), "a skipped deadline is none"
    assert bench_live.jitter_ms(even[:2], 16) == []


def test_spreads_are_observed_values() -> None:
    values = [float(value) for value in range(1, 101)]
    assert bench_live.Spread.of(values) == bench_live.Spread(p50=50, p95=95, max=100, count=100)
    assert bench_live.Spread.of([]) == bench_live.Spread(p50=None, p95=None, max=None, count=0)
    assert Spread.of(values) == Spread(p50=50, p95=95, max=100)
    assert math.isnan(Spread.of([]).p50)
