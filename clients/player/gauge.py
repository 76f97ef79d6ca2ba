"""The stick on the screen: a small square with a dot, and a lamp for each button; a bar for a single axis."""

import pygame

from longtake.clients.player import theme
from longtake.clients.player.state import PlayerState
from longtake.clients.player.stick import way_of
from longtake.protocol.messages import Axis

SIZE = 58
"""pixels of the square"""
DOT = 5


def draw(surface: pygame.Surface, left: int, bottom: int, state: PlayerState, text: theme.Text) -> pygame.Rect:
    """Draw the gauge with its lower left corner at (left, bottom); return the area, empty without axes."""
    sticks = [axis for axis in state.axes if not axis.button]
    buttons = [axis for axis in state.axes if axis.button]
    if not sticks and not buttons:
        return pygame.Rect(left, bottom, 0, 0)
    across = sticks[0] if sticks else None
    upwards = sticks[1] if len(sticks) > 1 else None
    height = SIZE if upwards else SIZE // 3
    rect = pygame.Rect(left, bottom - height, SIZE, height)
    held = state.in_hand
    theme.panel(surface, rect, opacity=170, radius=10)
    pygame.draw.line(surface, theme.LINE, (rect.left + 8, rect.centery), (rect.right - 9, rect.centery))
    if upwards:
        pygame.draw.line(surface, theme.LINE, (rect.centerx, rect.top + 8), (rect.centerx, rect.bottom - 9))
    at = dot_at(rect, across, upwards, held)
    moved = at != rect.center
    if moved:
        pygame.draw.line(surface, theme.mix(theme.PANEL, theme.ACCENT, 0.6), rect.center, at, 3)
    pygame.draw.circle(surface, theme.ACCENT if moved else theme.MUTED, at, DOT)
    x = rect.right + 8
    for axis in [*sticks[2:], *buttons]:
        on = held.get(axis.name, 0.0) != 0.0
        label = text.render(axis.name, theme.SMALL, theme.ACCENT if on else theme.MUTED)
        surface.blit(label, (x, rect.bottom - label.get_height() - 2))
        x += label.get_width() + 8
    return rect


def dot_at(rect: pygame.Rect, across: Axis | None, upwards: Axis | None, held: dict[str, float]) -> tuple[int, int]:
    """Return where the dot is: in the middle at rest, at the edge when pushed all the way."""
    x = way_of(across, held.get(across.name, 0.0)) if across else 0.0
    y = way_of(upwards, held.get(upwards.name, 0.0)) if upwards else 0.0
    room_x, room_y = rect.width / 2 - DOT - 4, rect.height / 2 - DOT - 4
    return rect.centerx + round(x * room_x), rect.centery - round(y * max(0.0, room_y))
