"""Keys and gamepads as values of axes."""

import pytest

from longtake.clients.player.stick import DEAD_ZONE, FIRST_SHARE, RAMP_S, Stick, way_of
from longtake.protocol.messages import Axis

AXES = [Axis(name="speed"), Axis(name="lift", low=-0.5, high=2.0), Axis(name="horn", low=0.0, button=True)]
REST = {"speed": 0.0, "lift": 0.0, "horn": 0.0}


def test_a_key_pushes_halfway_at_once_then_all_the_way_and_rests_at_once() -> None:
    stick = Stick(axes=AXES)
    assert stick.values(0.0) == REST
    stick.push("right", 10.0)
    assert stick.values(10.0)["speed"] == FIRST_SHARE
    assert stick.values(10.0 + RAMP_S / 2)["speed"] == pytest.approx((1 + FIRST_SHARE) / 2)
    assert stick.moving(10.0 + RAMP_S / 2)
    assert stick.values(10.0 + RAMP_S)["speed"] == 1.0
    assert not stick.moving(10.0 + RAMP_S)
    stick.release("right")
    assert stick.values(10.0 + RAMP_S) == REST


def test_directions_reach_the_ends_of_the_axis() -> None:
    stick = Stick(axes=AXES)
    for direction, axis, end in (("left", "speed", -1.0), ("up", "lift", 2.0), ("down", "lift", -0.5)):
        stick.push(direction, 0.0)
        assert stick.values(1.0) == REST | {axis: end}
        stick.release(direction)


def test_of_two_keys_the_newer_one_counts_and_the_older_one_after_it() -> None:
    stick = Stick(axes=AXES)
    stick.push("left", 0.0)
    stick.push("right", 1.0)
    assert stick.values(2.0)["speed"] == 1.0
    stick.release("right")
    assert stick.values(2.0)["speed"] == -1.0


def test_a_gamepad_has_a_dead_zone_and_reaches_the_end() -> None:
    stick = Stick(axes=AXES)
    stick.lean(0, DEAD_ZONE - 0.01)
    stick.lean(1, -1.0001)
    assert stick.values(0.0) == REST | {"lift": -0.5}
    stick.lean(0, 1.0)
    stick.button(0, down=True)
    assert stick.values(0.0) == {"speed": 1.0, "lift": -0.5, "horn": 1.0}
    stick.let_go()
    assert stick.values(0.0) == REST


def test_directions_without_an_axis_do_nothing() -> None:
    stick = Stick(axes=AXES[:1])
    stick.push("up", 0.0)
    stick.lean(3, 1.0)
    stick.button(5, down=True)
    assert stick.values(1.0) == {"speed": 0.0}


def test_way_of_an_axis_that_has_only_one_side() -> None:
    throttle = Axis(name="throttle", low=0.0, high=4.0)
    assert [way_of(throttle, value) for value in (0.0, 1.0, 4.0)] == [0.0, 0.25, 1.0]
    stick = Stick(axes=[throttle])
    stick.push("left", 0.0)
    assert str(stick.values(1.0)["throttle"]) == "0.0"
