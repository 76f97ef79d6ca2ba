"""What an input may hold: names, ranges, numbers."""

import numpy as np
import pytest

from longtake.protocol.axes import checked, in_words
from longtake.protocol.errors import Refused
from longtake.protocol.messages import Axis, ModelInfo

SIZES = {"height": 12, "width": 20, "fps": 16, "block_frames": 4, "first_block_frames": 4, "window_blocks": 9}
MODEL = ModelInfo(
    name="toy",
    axes=[Axis(name="speed"), Axis(name="lift", low=-0.5, high=2.0), Axis(name="horn", low=0.0, button=True)],
    **SIZES,
)


def test_axes_in_words() -> None:
    assert in_words(MODEL) == "speed -1 to 1, lift -0.5 to 2, horn 0 or 1"


def test_numbers_within_range_are_taken_as_floats() -> None:
    assert checked(MODEL, {"speed": -1, "lift": 2.0}) == {"speed": -1.0, "lift": 2.0}
    assert checked(MODEL, {"speed": np.float32(0.5)}) == {"speed": 0.5}
    assert checked(MODEL, {}) == {}


def test_minus_zero_is_zero() -> None:
    assert str(checked(MODEL, {"speed": -0.0})["speed"]) == "0.0"


@pytest.mark.parametrize(("given", "held"), [(True, 1.0), (False, 0.0), (1, 1.0), (0.0, 0.0)])
def test_a_button_is_down_or_up(given: object, held: float) -> None:
    assert checked(MODEL, {"horn": given}) == {"horn": held}


@pytest.mark.parametrize(
    ("held", "named"),
    [
        ({"speed": 1.01}, "speed cannot be held at 1.01"),
        ({"lift": -0.6}, "lift cannot be held at -0.6"),
        ({"speed": float("nan")}, "nan"),
        ({"speed": float("inf")}, "inf"),
        ({"speed": 10**400}, "speed cannot"),
        ({"speed": True}, "True"),
        ({"speed": "1"}, "'1'"),
        ({"speed": None}, "None"),
        ({"horn": 0.5}, "horn cannot be held at 0.5"),
        ({"throttle": 1.0}, "no axis 'throttle'"),
    ],
)
def test_anything_else_is_refused_in_a_line_with_axes_and_ranges(held: dict[str, object], named: str) -> None:
    with pytest.raises(Refused, match=r"speed -1 to 1, lift -0\.5 to 2, horn 0 or 1") as error:
        checked(MODEL, held)
    assert error.value.code == "invalid"
    assert named in error.value.message
    assert "\n" not in error.value.message


def test_a_model_without_axes_refuses_every_input() -> None:
    with pytest.raises(Refused, match="toy takes no input") as error:
        checked(ModelInfo(name="toy", **SIZES), {"speed": 0.0})
    assert error.value.code == "no_capability"
