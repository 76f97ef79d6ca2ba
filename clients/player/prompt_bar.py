"""The prompt line: the prompt in force, what the model takes it for, and the text that is being typed."""

import re

import pygame

from longtake.clients.player import theme
from longtake.clients.player.prompt import PromptLine
from longtake.clients.player.state import PlayerState
from longtake.clients.player.text_line import TextLine
from longtake.protocol.messages import Understood

HEIGHT = 36
"""pixels"""
UNDERSTOOD_HEIGHT = 16
"""added to the prompt line if the model says what it takes the prompt for"""


class PromptBar:
    """Draws the line onto a surface; remembers how far a long text is scrolled."""

    def __init__(self, text: theme.Text) -> None:
        self.caret_x = 0
        """where the caret was drawn last, in pixels from the surface's left edge"""
        self._text = text
        self._scroll = 0.0
        self._line: TextLine | None = None

    def draw(
        self, surface: pygame.Surface, rect: pygame.Rect, state: PlayerState, prompt: PromptLine, now: float
    ) -> None:
        """Draw the line in `rect`, which is `height_of(state)` high."""
        pygame.draw.rect(surface, theme.PANEL, rect, border_radius=8)
        edge = theme.ACCENT if prompt.focused else theme.LINE
        pygame.draw.rect(surface, edge, rect, width=1, border_radius=8)
        inner = rect.inflate(-28, 0)
        if prompt.focused:
            self._draw_typing(surface, inner, prompt, now)
            return
        hint = "type a prompt: /" if state.director else "viewer" if state.info else ""
        if prompt.text and state.director:
            hint = "unsent text: /"
        note = self._text.render(hint + "    help: F1", theme.SMALL, theme.FAINT)
        surface.blit(note, (inner.right - note.get_width(), rect.centery - note.get_height() // 2))
        shown = self._text.fit(state.prompt, inner.width - note.get_width() - 24, theme.NORMAL)
        label = self._text.render(shown, theme.NORMAL, theme.TEXT)
        understood = state.understood
        y = rect.centery - label.get_height() // 2 - (UNDERSTOOD_HEIGHT // 2 if understood is not None else 0)
        surface.blit(label, (inner.left, y))
        if understood is not None:
            line = TextLine(self._text, shown, theme.NORMAL)
            mark_unknown(surface, line, understood, inner.left, y + label.get_height())
            self._draw_understood(surface, understood, inner, y + label.get_height() + 2)

    def _draw_understood(self, surface: pygame.Surface, understood: Understood, inner: pygame.Rect, y: int) -> None:
        """Say what the model takes the prompt for, what it leaves to chance, and what it does not know."""
        x = inner.left
        for words, colour in understood_line(understood):
            words = self._text.fit(words, inner.right - x, theme.SMALL)
            label = self._text.render(words, theme.SMALL, colour)
            surface.blit(label, (x, y))
            x += label.get_width() + 12

    def _draw_typing(self, surface: pygame.Surface, inner: pygame.Rect, prompt: PromptLine, now: float) -> None:
        """Draw the edited text, scrolled so that the cursor is visible."""
        line = self._line_of(prompt.text or "what happens next?")
        caret = line.caret(prompt.cursor) if prompt.text else 0.0
        whole = line.width if prompt.text else 0.0
        self._scroll = min(self._scroll, caret, max(0.0, whole - inner.width + 2))
        self._scroll = max(self._scroll, caret - inner.width + 2)
        surface.set_clip(inner)
        colour = theme.BRIGHT if prompt.text else theme.FAINT
        line.draw(surface, inner.left - self._scroll, inner.centery, colour, (inner.left, inner.right))
        surface.set_clip(None)
        self.caret_x = round(inner.left + caret - self._scroll)
        if now % 1.0 < 0.6:
            ends = [(self.caret_x, inner.centery + offset) for offset in (-9, 9)]
            pygame.draw.line(surface, theme.ACCENT, ends[0], ends[1], 2)

    def _line_of(self, shown: str) -> TextLine:
        """Return the measured line, which stays the same until something is typed."""
        if self._line is None or self._line.shown != shown:
            self._line = TextLine(self._text, shown, theme.LARGE)
        return self._line


def mark_unknown(surface: pygame.Surface, line: TextLine, understood: Understood, left: int, y: int) -> None:
    """Underline the words of a line that the model does not know."""
    for match in re.finditer(r"[^\W\d_]+", line.shown):
        if match.group().lower() in understood.unknown:
            for start, end in line.spans(match.start(), match.end()):
                pygame.draw.line(surface, theme.BAD, (round(left + start), y), (round(left + end), y))


def height_of(state: PlayerState) -> int:
    """Return the line's height in pixels; it has a second row if the model says what it takes the prompt for."""
    return HEIGHT + (UNDERSTOOD_HEIGHT if state.understood is not None else 0)


def understood_line(understood: Understood) -> list[tuple[str, theme.Colour]]:
    """Return the parts of the line that says what the model takes the prompt for, with their colours."""
    parts = [(f"shown as: {understood.shown_as or 'anything'}", theme.TEXT)]
    if understood.by_chance:
        parts.append((f"by chance: {', '.join(understood.by_chance)}", theme.MUTED))
    if understood.unknown:
        parts.insert(1, (f"not known: {', '.join(understood.unknown)}", theme.BAD))
    return parts
