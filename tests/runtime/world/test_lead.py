"""The lead covers a turn of everybody, a recache where it costs nothing, and a margin; single slow blocks fade."""

import math
from dataclasses import replace

import pytest
from fakes import FakeConfig, FakeModel

from longtake.runtime.world.lead import Lead, LeadConfig
from longtake.runtime.world.statistics import Pace

MODEL = FakeModel().announced
LONG = FakeModel(config=FakeConfig(block_frames=12, first_block_frames=9)).announced
"""blocks as long as LongLive's"""
WITH_AXES = FakeModel(config=FakeConfig(axes=True)).announced


def measured(block_s: float, recache_s: float, **config: float) -> Lead:
    lead = Lead(MODEL, LeadConfig(margin_s=0.0, **config))
    for _ in range(128):
        lead.observe(block_s=block_s, recache_s=recache_s)
    return lead


def test_one_block_before_anything_is_measured() -> None:
    assert Lead(MODEL).target_frames() == MODEL.block_frames
    assert Lead(MODEL).needed_s() == MODEL.block_frames / MODEL.fps


@pytest.mark.parametrize(("block_s", "recache_s"), [(0.05, 0.05), (0.1, 0.02), (0.2, 0.1), (0.07, 0.3)])
def test_it_is_the_smallest_that_covers_block_and_recache(block_s: float, recache_s: float) -> None:
    lead = measured(block_s, recache_s)
    assert lead.block_needs_s() == pytest.approx(block_s if block_s > 1 / 16 else 1 / 16)
    assert lead.needed_s() == pytest.approx(lead.block_needs_s() + recache_s)
    target = lead.target_frames()
    assert target / MODEL.fps >= lead.needed_s() - 1e-9
    assert (target - 1) / MODEL.fps < lead.needed_s()


def test_a_model_that_reads_inputs_begins_when_its_block_just_fits() -> None:
    lead = Lead(WITH_AXES, LeadConfig(margin_s=0.0))
    for _ in range(20):
        lead.observe(block_s=0.1, recache_s=0.08)
    assert lead.needed_s() == pytest.approx(0.1)
    assert lead.needed_s(2) == pytest.approx(0.2 + 0.08), "the recache may be another world's"
    for _ in range(20):
        lead.observe(block_s=0.2, recache_s=0.08)
    assert lead.needed_s() == pytest.approx(0.2 + 0.03), "50 ms of the 80 fit between two blocks"


def test_what_a_block_leaves_delays_others_and_not_its_own_frames() -> None:
    lead, with_axes = Lead(MODEL, LeadConfig(margin_s=0.0)), Lead(WITH_AXES, LeadConfig(margin_s=0.0))
    for _ in range(20):
        for each in (lead, with_axes):
            each.observe(block_s=0.1, recache_s=0.08)
            each.turn_s.add(0.19)
    assert lead.block_needs_s() == pytest.approx(0.1)
    assert lead.block_needs_s(2) == pytest.approx(0.1 + 0.19)
    assert with_axes.needed_s() == pytest.approx(0.1 + 0.02), "60 ms of the 80 fit before the next block"


def test_a_recache_runs_while_the_block_before_it_is_decoded() -> None:
    """Times of a processor where decoding takes 60 ms on another thread: what counts is when the generator is free."""
    lead = Lead(WITH_AXES, LeadConfig(margin_s=0.015))
    for _ in range(20):
        lead.turn_s.add(0.11)
        lead.observe(block_s=0.16, recache_s=0.12)
    assert lead.recache_fits_after()
    assert lead.needed_s() == pytest.approx(0.16 + 0.015), "the recache fits between two blocks"
    assert not lead.recache_fits_after(2)
    for _ in range(20):
        lead.turn_s.add(0.12)
    assert not lead.recache_fits_after(), "10 ms are left, and not the margin of 15"


def test_a_slow_first_block_is_forgotten_in_seconds() -> None:
    """Times of LongLive on an H100: the first block warms up."""
    lead = Lead(LONG)
    steady = [0.291, 0.288, 0.290, 0.293, 0.289, 0.290, 0.287, 0.292]
    lead.observe(block_s=3.1)
    assert lead.target_frames() == lead.most_frames
    needed = []
    for block in range(16):
        lead.observe(block_s=steady[block % len(steady)])
        needed.append(lead.block_needs_s())
    after_s = LONG.block_frames / LONG.fps
    calm = 0.293 + LeadConfig().margin_s
    assert needed[0] > 2 * calm, "at first it is believed"
    assert needed[round(6 / after_s) - 1] < calm + 0.2
    assert needed[round(10 / after_s) - 1] < calm + 0.05
    assert needed == pytest.approx(sorted(needed, reverse=True), abs=0.005)


def test_a_slow_first_recache_is_forgotten_before_there_is_a_second() -> None:
    lead = Lead(LONG)
    lead.observe(block_s=0.29)
    lead.observe_recache(0.9)
    assert lead.recache_takes_s() == 0.9
    for _ in range(14):
        lead.observe(block_s=0.29)
    assert 0.29 <= lead.recache_takes_s() < 0.32


def test_a_single_outlier_is_forgotten_in_seconds_and_a_habit_is_not() -> None:
    lead = measured(0.1, 0.02)
    calm = lead.needed_s()
    lead.observe(block_s=0.3)
    assert lead.needed_s() == pytest.approx(calm + 0.2)
    for _ in range(6):  # a second and a half of film
        lead.observe(block_s=0.1)
    assert lead.needed_s() == pytest.approx(calm + 0.1)
    for _ in range(32):
        lead.observe(block_s=0.1)
    assert lead.needed_s() == pytest.approx(calm, abs=0.01)
    for block in range(60):
        lead.observe(block_s=0.3 if block % 10 == 0 else 0.1)
    assert lead.needed_s() >= calm + 0.19


def test_recaches_that_grow_with_the_window_are_believed_at_once() -> None:
    lead = Lead(LONG)
    lead.observe(block_s=0.29)
    for recache_s in (0.05, 0.1, 0.15):
        lead.observe_recache(recache_s)
        assert lead.recache_takes_s() == pytest.approx(recache_s)


def test_a_world_that_shares_waits_for_the_turns_of_the_others() -> None:
    lead = measured(0.1, 0.1)
    assert lead.target_frames(worlds_on_generator=1) == math.ceil(0.2 * 16)
    assert lead.target_frames(worlds_on_generator=2) == math.ceil(0.3 * 16)


def test_frames_that_are_decoded_beside_the_next_block_are_not_waited_for_by_other_worlds() -> None:
    lead = Lead(MODEL, LeadConfig(margin_s=0.0))
    for _ in range(20):
        lead.turn_s.add(0.1)
        lead.observe(block_s=0.15)
    assert lead.block_needs_s(3) == pytest.approx(0.15 + 2 * 0.1)


def test_it_is_bounded_however_slow_the_generator_is() -> None:
    assert measured(5.0, 9.0).target_frames(worlds_on_generator=8) == 2 * MODEL.block_frames


def test_it_is_at_least_one_frame() -> None:
    assert measured(0.0, 0.0).target_frames() == 1


def test_a_recache_never_seen_is_taken_to_last_as_long_as_a_block() -> None:
    lead = Lead(MODEL, LeadConfig(margin_s=0.0))
    lead.observe(block_s=0.125)
    assert lead.target_frames() == 4


@pytest.mark.parametrize(
    "wrong", [{"percent": 0}, {"margin_s": -1}, {"window": 0}, {"halves_in_s": 0}, {"least_frames": 0}]
)
def test_impossible_configurations_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="impossible"):
        replace(LeadConfig(), **wrong)


def test_a_pace_forgets_all_when_it_is_cleared() -> None:
    pace = Pace(4, percent=95, halves_in_s=1, most=2.0)
    pace.add(9.0)
    assert pace.slowest() == 2.0
    pace.clear()
    pace.forget(1.0)
    assert pace.slowest() is None


def test_held_frames_make_the_margin_larger_for_minutes() -> None:
    lead = measured(0.1, 0.02)
    calm = lead.block_needs_s()
    lead.held()
    assert lead.block_needs_s() == pytest.approx(calm + 0.015)
    for _ in range(20):
        lead.held()
    assert lead.block_needs_s() == pytest.approx(calm + 0.06), "at the most"
    for _ in range(1200):  # five minutes
        lead.observe(block_s=0.1)
    assert lead.block_needs_s() == pytest.approx(calm + 0.03)


def test_frames_that_are_held_while_the_lead_still_learns_do_not_count() -> None:
    lead = Lead(MODEL)
    lead.observe(block_s=0.1)
    needed = lead.block_needs_s()
    lead.held()
    assert lead.block_needs_s() == needed
