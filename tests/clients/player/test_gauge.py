"""The stick on the screen."""

import pygame
import pytest

from longtake.clients.player import gauge, theme
from longtake.clients.player.state import PlayerState
from longtake.protocol.messages import Axis, Joined, ModelInfo, Script

SIZES = {"height": 12, "width": 20, "fps": 16, "block_frames": 4, "first_block_frames": 4, "window_blocks": 9}


def state_with(axes: list[Axis]) -> PlayerState:
    state = PlayerState()
    state.joined(
        Joined(
            request=1,
            world="w1",
            role="director",
            model=ModelInfo(name="toy", axes=axes, **SIZES),
            script=Script(),
            mode="live",
            seed=1,
            generation=0,
            tick=0,
            block=0,
            paused=False,
            prompt="",
        )
    )
    return state


@pytest.fixture
def text() -> theme.Text:
    pygame.font.init()
    return theme.Text()


def test_the_dot_lies_where_the_stick_is(text: theme.Text) -> None:
    state = state_with([Axis(name="speed"), Axis(name="lift")])
    rect = pygame.Rect(0, 0, gauge.SIZE, gauge.SIZE)
    across, upwards = state.axes
    assert gauge.dot_at(rect, across, upwards, {}) == rect.center
    x, y = gauge.dot_at(rect, across, upwards, {"speed": 1.0, "lift": 1.0})
    assert x > rect.centerx + 15
    assert y < rect.centery - 15
    surface = pygame.Surface((200, 200))
    state.held = {"speed": -1.0, "lift": 0.0}
    area = gauge.draw(surface, 10, 190, state, text)
    assert area.bottomleft == (10, 190)
    at = gauge.dot_at(area, across, upwards, state.held)
    assert surface.get_at(at)[:3] == theme.ACCENT


def test_a_world_without_axes_has_none(text: theme.Text) -> None:
    surface = pygame.Surface((200, 200))
    before = pygame.image.tobytes(surface, "RGB")
    assert gauge.draw(surface, 10, 190, state_with([]), text).size == (0, 0)
    assert pygame.image.tobytes(surface, "RGB") == before
