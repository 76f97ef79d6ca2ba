"""The help overlay (F1): every key of the player, every event of the script, and what the world knows."""

from collections.abc import Sequence

import pygame

from longtake.clients.player import theme
from longtake.clients.player.state import PlayerState

KEYS: tuple[tuple[str, str], ...] = (
    ("/ or Enter", "type a prompt; Enter sends, Esc leaves"),
    ("Shift", "held with an event or Enter: cut to it at once"),
    ("Arrows", "or a gamepad: steer by hand, if the world can be"),
    ("Space", "pause and go on"),
    (".", "one block further while paused"),
    ("F5", "start the take again; with Shift another one"),
    ("F9", "film and record; again: stop, and say where"),
    ("F12", "save a picture; with Shift the window"),
    ("Tab", "more event keys, where not all fit"),
    ("F2", "hide everything but the picture"),
    ("F3", "numbers; lead: frames made ahead of the picture"),
    ("F11", "full screen"),
    ("F1", "this help"),
    ("Ctrl+Q", "quit"),
    ("mouse", "click a key, or the timeline to read a cue"),
    ("wheel", "choose an event; press the wheel to fire it"),
    ("bumpers", "the same on a gamepad: A fires, Start pauses"),
)
"""(key, what it does) as the overlay lists them"""
FOR_DIRECTORS = frozenset({"/ or Enter", "Shift", "Space", ".", "F5", "wheel", "bumpers", "Arrows"})
"""those that steer the world; a viewer's help leaves them out"""
WIDTH = 860
"""pixels, if the window has them"""
HEAD, EDGE = 52, 22
"""pixels: height of the title, and of the margin"""


def keys_of(state: PlayerState) -> list[tuple[str, str]]:
    """Return the player's keys that do something in this client's role."""
    if state.director:
        return list(KEYS)
    viewer = {"F9": "film; again: stop, and say where", "mouse": "click the timeline to read a cue"}
    return [(key, viewer.get(key, what)) for key, what in KEYS if key not in FOR_DIRECTORS]


def known_of(state: PlayerState) -> list[tuple[str, str]]:
    """Return what the world knows, by kind; nothing for a world that can show anything."""
    knows = state.info.model.knows if state.info else {}
    return [(kind, ", ".join(labels)) for kind, labels in knows.items()]


def draw(surface: pygame.Surface, state: PlayerState, text: theme.Text) -> None:
    """Draw the overlay over the whole window; small windows get small letters."""
    shade = pygame.Surface(surface.get_size(), pygame.SRCALPHA)
    shade.fill((*theme.BACKGROUND, 150))
    surface.blit(shade, (0, 0))
    keys, known = keys_of(state), known_of(state)
    events = [(event.key, event.label or name) for name, event in state.script.events.items()] if state.director else []
    rows = max(len(keys), -(-len(events) // 2))
    lines = rows + (len(known) + 1 if known else 0)
    room = surface.get_height() - 16
    step = min(text.line(theme.NORMAL) + 5, max(11, (room - HEAD - EDGE) // lines))
    height = theme.NORMAL if step >= text.line(theme.NORMAL) else max(9, min(theme.SMALL, step - 3))
    rect = pygame.Rect(0, 0, min(WIDTH, surface.get_width() - 16), min(lines * step + HEAD + EDGE, room))
    rect.center = surface.get_rect().center
    theme.panel(surface, rect, opacity=250, radius=14)
    surface.set_clip(rect)
    title = state.script.title or "Longtake"
    shown = text.render(text.fit(title, rect.width - 2 * EDGE, theme.LARGE), theme.LARGE, theme.BRIGHT)
    surface.blit(shown, (rect.left + EDGE, rect.top + 16))
    top, left = rect.top + HEAD, rect.left + EDGE
    half = (rect.width - 2 * EDGE) * 60 // 100 if events else rect.width - 2 * EDGE
    _draw_column(surface, text, keys, (left, top), (108, half - 120), step, height)
    column = (rect.width - 2 * EDGE - half) // 2
    for part in range(2):
        some = events[part * rows : (part + 1) * rows] if len(events) > rows else (events if part == 0 else [])
        _draw_column(surface, text, some, (left + half + part * column, top), (44, column - 50), step, height)
    if known:
        heading = f"what {state.model} knows; anything else it takes for the nearest, or leaves to chance"
        y = top + rows * step
        shown = text.render(text.fit(heading, rect.width - 2 * EDGE, height), height, theme.MUTED)
        surface.blit(shown, (left, y))
        _draw_column(surface, text, known, (left, y + step), (108, rect.width - 2 * EDGE - 108), step, height)
    surface.set_clip(None)


def _draw_column(
    surface: pygame.Surface,
    text: theme.Text,
    lines: Sequence[tuple[str, str]],
    place: tuple[int, int],
    widths: tuple[int, int],
    step: int,
    height: int,
) -> None:
    for index, (key, label) in enumerate(lines):
        y = place[1] + index * step
        surface.blit(text.render(text.fit(key, widths[0], height), height, theme.ACCENT), (place[0], y))
        surface.blit(text.render(text.fit(label, widths[1], height), height, theme.TEXT), (place[0] + widths[0], y))
