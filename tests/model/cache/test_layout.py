"""The window's arithmetic, against a list of frames in slots."""

import pytest

from longtake.model.cache.layout import Group, SlotRun, Window
from longtake.model.errors import WorldError


@pytest.mark.parametrize(("block", "sink", "ring"), [(3, 3, 9), (1, 1, 8), (2, 1, 6), (3, 1, 7), (1, 0, 4), (2, 3, 5)])
def test_slots_are_those_of_a_list_of_frames(block: int, sink: int, ring: int) -> None:
    window, held = Window(sink, ring), {}
    window.restart(5)
    for index in range(4 * (sink + ring) // block):
        first = 5 + index * block
        layout = window.begin((block,))
        assert (layout.first_frame, layout.frames, len(layout.slots)) == (first, block, block)
        held |= dict(zip(layout.slots, range(first, first + block), strict=True))
        window.commit(layout)
        assert sorted(held) == list(range(layout.visible_frames)) == list(range(window.valid_frames))
        end = first + block
        in_sink = [f for f in range(5, end) if f < 5 + sink]
        assert sorted(held.values()) == sorted({*in_sink, *range(max(5 + len(in_sink), end - ring), end)})


def test_a_block_across_the_rings_end_has_two_runs() -> None:
    window = Window(1, 4)
    for frames in (1, 3):
        window.commit(window.begin((frames,)))
    assert window.begin((3,)).runs == (SlotRun(4, 0, 1), SlotRun(1, 1, 2))


def test_groups_see_the_past_the_groups_before_them_and_themselves() -> None:
    window = Window(1, 8)
    window.commit(window.begin((2,)))
    layout = window.begin((2, 1, 3))
    assert layout.groups == (Group(0, 2, 4), Group(2, 3, 5), Group(3, 6, 8))
    assert layout.visible_frames == 8


def test_the_sink_moves_once_the_window_is_full() -> None:
    window = Window(2, 4)
    assert [window.sink_shift(end) for end in (4, 6, 7, 20)] == [0, 0, 1, 14]
    assert [Window(2, 4).begin((frames,)).new_sink_frames for frames in (1, 2, 4)] == [1, 2, 2]


def test_after_a_kept_sink_the_ring_starts_over() -> None:
    window = Window(2, 4)
    window.commit(window.begin((2,)))
    window.commit(window.begin((4,)))
    window.keep_sink(30)
    assert window.valid_frames == 2
    assert window.begin((2,)).slots == (2, 3)
    with pytest.raises(WorldError, match="30 comes next"):
        window.commit(Window(2, 4).begin((1,)))
