import numpy as np
import pytest

from longtake.model.diorama.art.actors import ACTORS, Pose, extent, sprite, stance


def drawn(actor: str, scale: int = 1, lift: float = 0.0, pace: float = 1.0, **pose: float) -> np.ndarray:
    """An actor alone in a frame of 192 x 160 units: `[4, 160, 192]` times the scale."""
    picture = np.zeros((4, 160 * scale, 192 * scale), np.float32)
    looks = stance(actor, 0.3, False, pace, lift)
    left, top, art = sprite(actor, "red", looks, Pose(**{"x": 96.0, "y": 80.0, **pose}), scale)
    picture[:, top : top + art.shape[1], left : left + art.shape[2]] = art
    return picture


@pytest.mark.parametrize("actor", ACTORS)
def test_twice_the_scale_is_the_same_sprite(actor: str) -> None:
    pose = {"x": 96.3, "y": 79.6, "angle": 0.2, "height": 0.9, "foot": 19.0}
    small, large = (drawn(actor, scale, **pose) for scale in (1, 2))
    assert np.abs(large.reshape(4, 160, 2, 192, 2).mean((2, 4)) - small).max() <= 1


def test_a_sprite_moves_by_fractions_of_a_pixel() -> None:
    columns = np.arange(192)
    middles = []
    for x in (96.0, 96.25, 96.5, 97.0):
        alpha = drawn("balloon", x=x)[3]
        middles.append(float((alpha * columns).sum() / alpha.sum()))
    assert np.diff(middles) == pytest.approx([0.25, 0.25, 0.5], abs=0.01)


def test_a_positive_angle_lifts_the_nose() -> None:
    level, climbing = (drawn("plane", angle=angle)[3] for angle in (0.0, 0.4))
    front = slice(112, 136)
    rows = np.arange(160)[:, None]
    height = [float((alpha[:, front] * rows).sum() / alpha[:, front].sum()) for alpha in (level, climbing)]
    assert height[1] < height[0] - 5


def test_a_crouch_keeps_the_feet_on_the_ground() -> None:
    tall, low = (extent(drawn("fox", height=height, foot=19.0)) for height in (1.0, 0.66))
    assert low[1] > tall[1] + 10
    assert abs(low[3] - tall[3]) <= 1
    assert low[2] - low[0] > tall[2] - tall[0]


def test_a_standing_fox_keeps_its_legs_still() -> None:
    standing = [stance("fox", cycle, False, 0.0, 0.0) for cycle in (0.1, 0.4)]
    pictures = [sprite("fox", "red", looks, Pose(x=48.0, y=42.0), 1)[2] for looks in standing]
    assert np.array_equal(*pictures)


def test_only_looks_that_differ_are_drawn_apart() -> None:
    assert stance("bird", 0.3, False, 0.2, 1.0) == stance("bird", 0.3, False, 1.0, 0.0)
    assert stance("balloon", 0.3, False, 1.0, 1.0) != stance("balloon", 0.3, False, 1.0, 0.0)
