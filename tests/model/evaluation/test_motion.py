import pytest
import torch
from torch import Tensor
from torch.nn import functional

from longtake.model.evaluation.motion import Motion, compare, measure, total


def scrolling(positions: list[float], width: int = 64) -> Tensor:
    """A smooth pattern seen from `positions`, in pixels from the left: [T, 3, 8, width]."""
    columns = torch.arange(width) + torch.tensor(positions)[:, None]
    wave = 0.5 + 0.4 * torch.sin(columns * (2 * torch.pi / 16))
    return wave[:, None, None, :].expand(-1, 3, 8, -1).contiguous()


def test_an_even_scroll_is_even() -> None:
    motion = measure(scrolling([2.0 * t for t in range(12)]))
    assert motion.evenness == pytest.approx(1.0, abs=0.02)
    assert motion.inside > 0.05


def test_a_clip_that_moves_once_a_block_is_uneven() -> None:
    steps = [0.0, 0.5, 1.0, 1.5]
    jumping = measure(scrolling([6.5 * block + step for block in range(3) for step in steps]))
    assert jumping.evenness > 5


def test_the_block_length_says_which_differences_cross_a_boundary() -> None:
    clip = scrolling([5.0 * (t // 3) + 0.5 * (t % 3) for t in range(12)])
    assert measure(clip, 3).evenness > 4 > measure(clip, 4).evenness


def test_blur_takes_detail_and_half_the_speed_takes_motion() -> None:
    clip = scrolling([2.0 * t for t in range(12)])
    blurred = functional.avg_pool2d(clip, (1, 9), 1, (0, 4), count_include_pad=False)
    drawn = measure(clip)
    assert measure(blurred).detail < 0.4 * drawn.detail
    slower = compare([measure(scrolling([1.0 * t for t in range(12)]))], [drawn])
    assert slower.motion == pytest.approx(0.5, abs=0.03)
    assert slower.detail == pytest.approx(1.0, abs=0.02)


def test_averages_weigh_clips_by_how_much_they_move() -> None:
    still, lively = Motion(detail=1, inside=0, boundary=0.1), Motion(detail=3, inside=2, boundary=2)
    assert total([still, lively]) == Motion(detail=2, inside=1, boundary=1.05)
    assert compare([lively], [still, lively]).motion == pytest.approx(2.0)


def test_a_clip_without_a_boundary_is_refused() -> None:
    with pytest.raises(ValueError, match="4 frames hold no boundary between blocks of 4"):
        measure(torch.zeros(4, 3, 8, 8))
    with pytest.raises(ValueError, match="no clips"):
        total([])
