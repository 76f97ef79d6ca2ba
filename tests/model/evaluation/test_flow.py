import numpy as np
import pytest

from longtake.model.evaluation.flow import block_flow
from tests.model.evaluation.scrolling import scrolled


def test_flow_of_a_scrolling_picture_is_what_it_scrolls() -> None:
    x = np.concatenate([np.arange(16) * 2.0, 32 + np.arange(16) * -1.0])
    flow = block_flow(scrolled(1, x, np.zeros(32)))
    assert flow.shape == (7, 2)
    assert flow[:3, 0] == pytest.approx([-8, -8, -8], abs=0.6)
    assert flow[4:, 0] == pytest.approx([4, 4, 4], abs=0.6)
    assert flow[:, 1] == pytest.approx(np.zeros(7), abs=0.5)


def test_flow_is_in_units_whatever_the_size_and_does_not_mind_judder() -> None:
    steps = np.repeat(np.arange(6) * 6.0, 4)
    frames = scrolled(2, steps, np.repeat(np.arange(6) * 1.0, 4))
    flow = block_flow(frames)
    assert flow[:, 0] == pytest.approx(np.full(5, -6), abs=0.6)
    assert flow[:, 1] == pytest.approx(np.full(5, 1), abs=0.6)
    doubled = frames.repeat(2, axis=1).repeat(2, axis=2)
    assert block_flow(doubled) == pytest.approx(flow, abs=1e-6)


def test_flow_needs_two_blocks_and_a_wide_picture() -> None:
    with pytest.raises(ValueError, match="fewer than two blocks"):
        block_flow(np.zeros((7, 96, 160, 3), np.uint8))
    with pytest.raises(ValueError, match="80 pixels wide"):
        block_flow(np.zeros((8, 48, 80, 3), np.uint8))
