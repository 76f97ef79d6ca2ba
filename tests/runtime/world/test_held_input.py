"""What is held when a block starts."""

import pytest
from fakes import FakeConfig, FakeModel

from longtake.protocol.errors import Refused
from longtake.runtime.world.held_input import MAX_LATER, HeldInput


def held_input() -> HeldInput:
    return HeldInput(FakeModel(config=FakeConfig(axes=True)).announced)


def test_axes_begin_at_rest_and_keep_the_models_order() -> None:
    held = held_input()
    assert held.values == {"speed": 0.0, "lift": 0.0, "horn": 0.0}
    held.hold({"horn": 1.0}, "me")
    assert held.actions == (0.0, 0.0, 1.0)


def test_the_newest_value_of_each_axis_wins_and_is_held() -> None:
    held = held_input()
    held.hold({"speed": 1.0, "lift": 0.5}, "me")
    held.hold({"speed": -0.25}, "you")
    assert [held.sample(block) for block in (3, 4, 9)] == [(-0.25, 0.5, 0.0)] * 3


def test_inputs_for_later_blocks_wait_in_order_of_block_then_of_arrival() -> None:
    held = held_input()
    held.hold_later(8, {"speed": 1.0}, "me")
    held.hold_later(5, {"speed": 0.5}, "me")
    held.hold_later(5, {"speed": 0.75}, "me")
    assert held.preview(4)["speed"] == 0.0
    assert held.preview(6)["speed"] == 0.75
    assert held.preview(8)["speed"] == 1.0
    assert [held.sample(block)[0] for block in (4, 5, 7, 8)] == [0.0, 0.75, 0.75, 1.0]


def test_who_leaves_lets_go_of_what_they_held_last() -> None:
    held = held_input()
    held.hold({"speed": 1.0, "lift": 0.5}, "me")
    held.hold({"lift": -0.5}, "you")
    held.hold_later(5, {"speed": 0.5}, "me")
    held.hold_later(6, {"horn": 1.0}, "you")
    held.let_go("me")
    assert held.values == {"speed": 0.0, "lift": -0.5, "horn": 0.0}
    assert held.sample(6) == (0.0, -0.5, 1.0)


def test_a_reset_keeps_hands_where_they_are_and_drops_what_waits() -> None:
    held = held_input()
    held.hold({"speed": 1.0}, "me")
    held.hold_later(5, {"speed": 0.5}, "me")
    held.reset()
    assert held.sample(5) == (1.0, 0.0, 0.0)


def test_too_many_for_later_are_refused() -> None:
    held = held_input()
    for block in range(MAX_LATER):
        held.hold_later(block + 1, {"speed": 0.5}, "me")
    with pytest.raises(Refused, match="1000 inputs") as error:
        held.hold_later(1, {"speed": 1.0}, "me")
    assert error.value.code == "too_fast"
