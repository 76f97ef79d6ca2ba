import numpy as np
import pytest

from longtake.model.diorama.art.canvas import Canvas, Strip, pixels, strip, subsamples

VIEW = 40


@pytest.fixture(params=[1, 2])
def marked(request: pytest.FixtureRequest) -> tuple[Strip, int]:
    """A strip of 320 units with one white box at x 100..104, y 30..36, and its scale."""
    canvas = Canvas(320, 50, request.param, wrap=True)
    canvas.box(100, 30, 104, 36, (255, 255, 255))
    return strip(canvas.image, request.param, VIEW * request.param), request.param


def centre(top: int, part: np.ndarray, scale: int) -> tuple[float, float]:
    """Middle of the visible part in units."""
    alpha = part[3] / part[3].sum()
    rows, columns = np.mgrid[: alpha.shape[0], : alpha.shape[1]]
    return float((alpha * (columns + 0.5)).sum()) / scale, float((alpha * (rows + top + 0.5)).sum()) / scale


@pytest.mark.parametrize("offset", [90.0, 90.25, 90.625, 410.0, -230.0])
@pytest.mark.parametrize("drop", [0.0, 0.375, 4.0, -2.5])
def test_a_strip_is_seen_at_sub_pixel_places_and_tiles(marked: tuple[Strip, int], offset: float, drop: float) -> None:
    art, scale = marked
    top, part = art.cut(offset * scale, drop * scale, 40 * scale, VIEW * scale)
    x, y = centre(top, part, scale)
    assert x == pytest.approx(102 - offset % 320, abs=0.1)
    assert y == pytest.approx(33 + drop, abs=0.1)


def test_a_strip_that_sinks_out_of_the_frame_shows_nothing_more_than_the_frame_holds(marked: tuple[Strip, int]) -> None:
    art, scale = marked
    top, part = art.cut(90.0 * scale, 5.0 * scale, 36 * scale, VIEW * scale)
    assert top == 35 * scale
    assert part.shape == (4, scale, VIEW * scale)
    top, part = art.cut(90.0 * scale, -32.0 * scale, 36 * scale, VIEW * scale)
    assert top == 0
    assert part[3, : 4 * scale, 10 * scale].min() == 255
    assert part[3, 5 * scale :].max() == 0


def test_a_shape_that_leaves_on_one_side_comes_back_on_the_other() -> None:
    canvas = Canvas(20, 10, 1, wrap=True)
    canvas.box(18, 0, 22, 10, (255, 0, 0))
    alpha = pixels(canvas.image, 1)[3, 5]
    assert alpha[[0, 1, 18, 19]].tolist() == [255] * 4
    assert alpha[3:18].max() == 0


def test_a_blur_keeps_the_size_and_wraps() -> None:
    canvas = Canvas(64, 16, 1, wrap=True)
    canvas.box(0, 0, 8, 16, (255, 255, 255))
    soft = np.asarray(canvas.blurred(2.0))[..., 3]
    assert soft.shape == (16 * subsamples(1), 64 * subsamples(1))
    assert soft[:, -4].min() > 60
    assert soft[:, soft.shape[1] // 2].max() == 0
