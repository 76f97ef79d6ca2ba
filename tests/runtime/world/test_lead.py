"""The lead covers one turn of everybody, one recache and a margin at the 99th percentile, and no more."""

import math

import pytest
from fakes import FakeModel

from longtake.runtime.world.lead import Lead, LeadConfig

MODEL = FakeModel().announced


def measured(block_s: float, recache_s: float, **config: float) -> Lead:
    lead = Lead(MODEL, LeadConfig(margin_s=0.0, **config))
    for _ in range(128):
        lead.observe(block_s=block_s, recache_s=recache_s)
    return lead


def test_one_block_before_anything_is_measured() -> None:
    assert Lead(MODEL).target_frames() == MODEL.block_frames


@pytest.mark.parametrize(("block_s", "recache_s"), [(0.05, 0.05), (0.1, 0.02), (0.2, 0.1), (0.01, 0.3)])
def test_it_is_the_smallest_that_covers_block_and_recache(block_s: float, recache_s: float) -> None:
    target = measured(block_s, recache_s).target_frames()
    assert target / MODEL.fps >= block_s + recache_s - 1e-9
    assert (target - 1) / MODEL.fps < block_s + recache_s


def test_it_follows_the_slowest_percent_and_forgets() -> None:
    lead = measured(0.02, 0.02)
    calm = lead.target_frames()
    lead.observe(block_s=0.3)
    lead.observe(block_s=0.3)
    assert lead.target_frames() > calm
    for _ in range(128):
        lead.observe(block_s=0.02)
    assert lead.target_frames() == calm


def test_a_world_that_shares_waits_for_the_turns_of_the_others() -> None:
    lead = measured(0.1, 0.1)
    assert lead.target_frames(worlds_on_generator=1) == math.ceil(0.2 * 16)
    assert lead.target_frames(worlds_on_generator=2) == math.ceil(0.3 * 16)


def test_it_is_bounded_however_slow_the_generator_is() -> None:
    assert measured(5.0, 9.0).target_frames(worlds_on_generator=8) == 2 * MODEL.block_frames


def test_it_is_at_least_one_frame() -> None:
    assert measured(0.0, 0.0).target_frames() == 1


def test_a_recache_never_seen_is_taken_to_last_as_long_as_a_block() -> None:
    lead = Lead(MODEL, LeadConfig(margin_s=0.0))
    lead.observe(block_s=0.125)
    assert lead.target_frames() == 4


def test_impossible_configurations_are_refused() -> None:
    with pytest.raises(ValueError, match="impossible"):
        LeadConfig(percent=0)
