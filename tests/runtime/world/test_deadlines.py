"""Deadlines are absolute: late ones shift nothing, missed ones are counted and never made up."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stage import FakeClock

from longtake.runtime.clock import wait_until
from longtake.runtime.world.deadlines import Deadlines


def test_stopped_until_anchored() -> None:
    schedule = Deadlines(16)
    assert schedule.deadline is None
    assert schedule.take(1e9) is None


def test_deadlines_do_not_drift_however_late_the_loop_comes() -> None:
    schedule = Deadlines(16)
    schedule.anchor(100.0)
    late = random.Random(1)
    for n in range(10_000):
        deadline = schedule.deadline
        assert deadline == 100.0 + n / 16
        due = schedule.take(deadline + late.uniform(0, 0.06))
        assert due is not None
        assert due.skipped == 0
        assert due.deadline == deadline


def test_missed_deadlines_are_skipped_and_counted_not_made_up() -> None:
    schedule = Deadlines(16)
    schedule.anchor(0.0)
    assert schedule.take(0.0) is not None
    due = schedule.take(1.01)  # deadlines 1 .. 16 have passed
    assert due is not None
    assert due.skipped == 15
    assert due.deadline == 1.0
    assert due.late_s == pytest.approx(0.01)
    assert schedule.take(1.01) is None, "a burst"
    assert schedule.deadline == 17 / 16


def test_anchoring_again_forgets_the_time_away() -> None:
    schedule = Deadlines(16)
    schedule.anchor(0.0)
    schedule.take(0.0)
    schedule.stop()
    schedule.anchor(500.0)
    due = schedule.take(500.0)
    assert due is not None
    assert (due.skipped, due.deadline) == (0, 500.0)


@settings(deadline=None)
@given(
    st.floats(1, 240),
    st.floats(0, 1e6),
    st.lists(st.floats(0, 0.5), min_size=1, max_size=50),
)
def test_taken_and_skipped_add_up(fps: float, anchor: float, pauses: list[float]) -> None:
    schedule = Deadlines(fps)
    schedule.anchor(anchor)
    now, taken, last = anchor, 0, -1.0
    for pause in pauses:
        now += pause
        due = schedule.take(now)
        if due is not None:
            taken += 1 + due.skipped
            assert due.deadline > last
            last = due.deadline
            assert schedule.take(now) is None
    assert schedule.deadline == anchor + taken / fps


def test_waiting_sleeps_for_most_of_the_time_and_spins_for_the_rest() -> None:
    clock = FakeClock(0.0)
    spun = 0

    class Spinning:
        def now(self) -> float:
            nonlocal spun
            spun += 1
            clock.time += 0.00005
            return clock.time

        def sleep(self, seconds: float) -> None:
            clock.sleep(seconds)

    wait_until(Spinning(), 1.0, spin_s=0.0004)
    assert clock.time >= 1.0
    assert clock.slept == [pytest.approx(0.99955)]
    assert spun < 15


def test_a_rate_that_cannot_be_is_refused() -> None:
    with pytest.raises(ValueError, match="positive"):
        Deadlines(0)
