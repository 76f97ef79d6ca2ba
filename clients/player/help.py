"""The help overlay (F1): every key of the player and every event of the script."""

import pygame

from longtake.clients.player import theme
from longtake.clients.player.state import PlayerState

KEYS: tuple[tuple[str, str], ...] = (
    ("/ or Enter", "type a prompt; Enter sends, Esc leaves"),
    ("Arrows, gamepad", "steer by hand, if the world can be"),
    ("Space", "pause and go on"),
    (".", "one block further while paused"),
    ("F5", "start the take again"),
    ("F9", "record, stop recording"),
    ("F12", "save a screenshot"),
    ("F2", "hide everything but the picture"),
    ("F3", "numbers"),
    ("F11", "full screen"),
    ("F1", "this help"),
    ("Ctrl+Q", "quit"),
)
"""(key, what it does) as the overlay lists them"""
PLAYER_KEYS = frozenset({"space", "return", "enter", "escape", "tab", "/", ".", *(f"f{n}" for n in range(1, 13))})
"""keys an event cannot have, because the player uses or keeps them"""
WIDTH = 760
"""pixels, if the window has them"""


def draw(surface: pygame.Surface, state: PlayerState, text: theme.Text) -> None:
    """Draw the overlay over the whole window."""
    shade = pygame.Surface(surface.get_size(), pygame.SRCALPHA)
    shade.fill((*theme.BACKGROUND, 150))
    surface.blit(shade, (0, 0))
    events = [(event.key, event.label or name) for name, event in state.script.events.items()]
    step = text.line(theme.NORMAL) + 7
    rows = max(len(KEYS), -(-len(events) // 2))
    rect = pygame.Rect(0, 0, min(WIDTH, surface.get_width() - 24), min(rows * step + 96, surface.get_height() - 24))
    rect.center = surface.get_rect().center
    theme.panel(surface, rect, opacity=248, radius=14)
    surface.set_clip(rect)
    title = state.script.title or "Longtake"
    surface.blit(
        text.render(text.fit(title, rect.width - 60, theme.LARGE), theme.LARGE, theme.BRIGHT),
        (rect.left + 30, rect.top + 22),
    )
    top = rect.top + 66
    half = rect.width * 54 // 100
    _draw_column(surface, text, KEYS, rect.left + 30, top, (92, half - 130), step)
    column = (rect.width - half - 30) // 2
    for part in range(2):
        some = events[part * rows : (part + 1) * rows] if len(events) > rows else (events if part == 0 else [])
        _draw_column(surface, text, some, rect.left + half + part * column, top, (46, column - 56), step)
    surface.set_clip(None)


def _draw_column(
    surface: pygame.Surface,
    text: theme.Text,
    lines: tuple[tuple[str, str], ...] | list[tuple[str, str]],
    left: int,
    top: int,
    widths: tuple[int, int],
    step: int,
) -> None:
    for index, (key, label) in enumerate(lines):
        y = top + index * step
        surface.blit(text.render(text.fit(key, widths[0], theme.NORMAL), theme.NORMAL, theme.ACCENT), (left, y))
        shown = text.fit(label, widths[1], theme.NORMAL)
        surface.blit(text.render(shown, theme.NORMAL, theme.TEXT), (left + widths[0], y))
