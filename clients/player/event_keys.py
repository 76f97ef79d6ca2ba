"""The events of the script as keycaps, in rows below the timeline."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pygame

from longtake.clients.player import theme
from longtake.clients.player.state import PlayerState
from longtake.protocol.messages import EventDef

KEY_HEIGHT = 26
"""pixels, as are the gaps"""
ARROWS = {
    "up": ((-5, 3), (5, 3), (0, -4)),
    "down": ((-5, -3), (5, -3), (0, 4)),
    "left": ((3, -5), (3, 5), (-4, 0)),
    "right": ((-3, -5), (-3, 5), (4, 0)),
}
"""keys whose caps show a drawn triangle, in pixels from the middle: not every font has arrows"""
KEY_GAP = 16
"""between two keycaps of a row"""
GROUP_GAP = 24
"""extra gap between events that set different slots"""
ROW_GAP = 6
"""between two rows"""
MORE_WIDTH = 76
"""of the button that turns to the next page, and the gap before it"""


@dataclass(frozen=True, kw_only=True)
class Keycap:
    """One event on the screen."""

    event: str
    definition: EventDef
    rect: pygame.Rect
    """pixels, in the window"""


@dataclass(frozen=True, kw_only=True)
class KeyPages:
    """All keycaps, as many rows a page as the window has room for. Each page begins at (0, 0)."""

    pages: list[list[Keycap]]
    """at least one"""
    height: int
    """of a page, pixels"""
    more: pygame.Rect | None
    """where the button to the next page goes; None if there is one page only"""

    def page_of(self, event: str) -> int | None:
        """Return the number of the page with an event, or None."""
        return next((n for n, page in enumerate(self.pages) if any(cap.event == event for cap in page)), None)


def layout_keys(state: PlayerState, text: theme.Text, width: int, max_rows: int) -> KeyPages:
    """Lay keycaps out in rows, and the rows on pages. Events that set the same slots are together."""
    rows = _rows(state, text, width)
    more = None
    if len(rows) > max_rows:
        rows = _rows(state, text, width - MORE_WIDTH)
        more = pygame.Rect(width - MORE_WIDTH + KEY_GAP, 0, MORE_WIDTH - KEY_GAP, KEY_HEIGHT)
    step = KEY_HEIGHT + ROW_GAP
    pages = [
        [replace(cap, rect=cap.rect.move(0, number * step)) for number, row in enumerate(some) for cap in row]
        for some in (rows[first : first + max_rows] for first in range(0, len(rows), max_rows))
    ]
    shown = min(len(rows), max_rows)
    return KeyPages(pages=pages or [[]], height=max(0, shown * step - ROW_GAP), more=more)


def _rows(state: PlayerState, text: theme.Text, width: int) -> list[list[Keycap]]:
    """Return the keycaps of each row, all at y 0."""
    groups: dict[frozenset[str], list[tuple[str, EventDef, int]]] = {}
    for name, definition in state.script.events.items():
        label = text.width(definition.label or name, theme.NORMAL)
        groups.setdefault(frozenset(definition.set), []).append(
            (name, definition, _cap_width(text, definition) + label)
        )
    rows: list[list[Keycap]] = []
    x = width + 1
    for group in groups.values():
        whole = sum(wide + KEY_GAP for _, _, wide in group) - KEY_GAP
        if x + whole > width >= whole:
            x = width + 1
        for name, definition, wide in group:
            if x + wide > width:
                rows.append([])
                x = 0
            rows[-1].append(Keycap(event=name, definition=definition, rect=pygame.Rect(x, 0, wide, KEY_HEIGHT)))
            x += wide + KEY_GAP
        x += GROUP_GAP
    return rows


def draw_more(surface: pygame.Surface, rect: pygame.Rect, page: int, pages: int, text: theme.Text) -> None:
    """Draw the button that turns to the next page."""
    pygame.draw.rect(surface, theme.RAISED, rect, border_radius=5)
    pygame.draw.rect(surface, theme.LINE, rect, width=1, border_radius=5)
    label = text.render(f"Tab {page + 1}/{pages}", theme.SMALL, theme.MUTED)
    surface.blit(label, label.get_rect(center=rect.center))


def draw(surface: pygame.Surface, caps: Sequence[Keycap], state: PlayerState, text: theme.Text, now: float) -> None:
    """Draw the keycaps. Those whose event is in force are underlined, and one that was just fired glows."""
    in_force = state.in_force()
    for cap in caps:
        glow = 1.0 if state.waiting_for(cap.event) else state.glow(cap.event, now)
        on = cap.event in in_force
        edge = theme.mix(theme.FAINT if on else theme.LINE, theme.ACCENT, glow)
        label_colour = theme.mix(theme.BRIGHT if on else theme.MUTED, theme.ACCENT, glow)
        if cap.event == state.selected and state.director:
            pygame.draw.rect(surface, theme.ACCENT, cap.rect.inflate(10, 4), width=1, border_radius=7)
        if not state.director:
            edge, label_colour = theme.LINE, theme.TEXT if on else theme.FAINT
        x = cap.rect.left
        if cap.definition.key:
            x = _draw_cap(surface, text, cap, glow, edge, label_colour)
        label = text.render(cap.definition.label or cap.event, theme.NORMAL, label_colour)
        surface.blit(label, (x, cap.rect.centery - label.get_height() // 2))
        if on:
            pygame.draw.line(
                surface,
                theme.ACCENT,
                (x, cap.rect.bottom - 1),
                (x + label.get_width() - 1, cap.rect.bottom - 1),
                2,
            )


def _draw_cap(
    surface: pygame.Surface, text: theme.Text, cap: Keycap, glow: float, edge: theme.Colour, colour: theme.Colour
) -> int:
    """Draw the key itself; return the x of its label."""
    name = text.render(key_name(cap.definition.key), theme.SMALL, colour, bold=True)
    wide = _cap_width(text, cap.definition)
    key = pygame.Rect(cap.rect.left, cap.rect.top + 1, wide - 7, cap.rect.height - 4)
    pygame.draw.rect(surface, theme.BACKGROUND, key.move(0, 2), border_radius=5)
    pygame.draw.rect(surface, theme.mix(theme.RAISED, theme.ACCENT, glow * 0.28), key, border_radius=5)
    pygame.draw.rect(surface, edge, key, width=1, border_radius=5)
    surface.blit(name, name.get_rect(center=key.center))
    if cap.definition.key in ARROWS:
        points = [(key.centerx + x, key.centery + y) for x, y in ARROWS[cap.definition.key]]
        pygame.draw.polygon(surface, colour, points)
    return cap.rect.left + wide


def key_name(key: str) -> str:
    """Return the text of a keycap; arrows are drawn instead, see ARROWS."""
    return " " if key in ARROWS else key.upper() if len(key) == 1 else key


def _cap_width(text: theme.Text, definition: EventDef) -> int:
    """Return the width of a keycap and the space after it; 0 for an event without a key."""
    if not definition.key:
        return 0
    return max(22, text.width(key_name(definition.key), theme.SMALL, bold=True) + 12) + 7
