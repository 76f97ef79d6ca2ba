"""Where cues land: the block grid and the queue."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longtake.protocol.errors import Refused
from longtake.protocol.fields import MAX_NUMBER
from longtake.protocol.messages import Script
from longtake.runtime.world.cues import MAX_PENDING, BlockGrid, Cue, CueQueue
from longtake.runtime.world.prompt_state import PromptState

GRID = BlockGrid(first_frames=9, frames=12)


def test_the_first_block_may_be_shorter() -> None:
    assert [GRID.first_tick(block) for block in range(4)] == [0, 9, 21, 33]
    assert [GRID.length(block) for block in range(3)] == [9, 12, 12]


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 10_000))
def test_block_from_is_the_first_that_starts_at_or_after(first: int, frames: int, tick: int) -> None:
    grid = BlockGrid(first_frames=first, frames=frames)
    block = grid.block_from(tick)
    assert grid.first_tick(block) >= tick
    assert block == 0 or grid.first_tick(block - 1) < tick


def test_a_block_beyond_the_numbers_of_the_protocol_is_refused() -> None:
    last = GRID.first_tick(GRID.block_of(MAX_NUMBER))
    assert GRID.first_tick(GRID.block_for(last)) == last <= MAX_NUMBER
    for tick in (last + 1, MAX_NUMBER):
        with pytest.raises(Refused, match=f"no block begins at or after tick {tick}") as refused:
            GRID.block_for(tick)
        assert refused.value.code == "invalid"


def cue(number: int, block: int, label: str = "x") -> Cue:
    return Cue(number=number, kind="prompt", label=label, block=block)


def test_cues_come_out_by_block_and_then_in_order_of_arrival() -> None:
    queue = CueQueue()
    assert [queue.add(c) for c in (cue(1, 5), cue(2, 3), cue(3, 5), cue(4, 3))] == [1, 1, 2, 2]
    assert [c.number for c in queue.take(4)] == [2, 4]
    assert [c.number for c in queue.take(4)] == []
    assert [c.number for c in queue.take(9)] == [1, 3]


def test_preview_applies_what_is_due_by_then() -> None:
    queue = CueQueue()
    queue.add(cue(1, 5, "five"))
    queue.add(cue(2, 3, "three"))
    state = PromptState.start(Script(), "start")
    assert [queue.preview(state, block).prompt() for block in (2, 3, 4, 5)] == ["start", "three", "three", "five"]


def test_too_many_waiting_cues_are_refused_and_may_be_retried() -> None:
    queue = CueQueue()
    for number in range(MAX_PENDING):
        queue.add(cue(number, 1))
    with pytest.raises(Refused) as refused:
        queue.add(cue(0, 1))
    assert refused.value.retryable
    assert len(queue) == MAX_PENDING


@pytest.mark.parametrize(("first", "frames"), [(9, 12), (4, 4), (1, 4)])
def test_the_block_of_a_tick(first: int, frames: int) -> None:
    grid = BlockGrid(first_frames=first, frames=frames)
    blocks = [block for block in range(5) for _ in range(grid.length(block))]
    assert [grid.block_of(tick) for tick in range(len(blocks))] == blocks
