"""Where the letters of one line lie, also if parts of it go from right to left: for carets, marks and scrolling."""

import math
from typing import NamedTuple

import pygame

from longtake.clients.bidi import Run, drawn_runs, typed_next
from longtake.clients.player import theme


class Piece(NamedTuple):
    """A run of a line, with where it is drawn."""

    run: Run
    left: float
    """pixels from the line's left edge"""
    width: float


class TextLine:
    """A line as it is drawn, measured from its left edge. The text is as `clean` leaves it."""

    def __init__(self, text: theme.Text, shown: str, height: int) -> None:
        self.shown = shown
        self._text = text
        self._height = height
        self._carets: dict[int, float] = {}
        self._pieces: list[Piece] = []
        self.width = 0.0
        """pixels"""
        for run in drawn_runs(shown):
            width = self._extent(run.start, run.end)
            self._pieces.append(Piece(run, self.width, width))
            self.width += width

    def caret(self, cursor: int) -> float:
        """Return where the left edge of the next letter will be that is typed at `cursor`, in pixels.

        Direction matters only where two of them meet; the next letter is taken to be like the one before it.
        """
        if cursor not in self._carets:
            self._carets[cursor] = self._measured_caret(cursor)
        return self._carets[cursor]

    def spans(self, start: int, end: int) -> list[tuple[float, float]]:
        """Return the left and right edges of the pieces that characters `start` to `end` are drawn in."""
        found: list[tuple[float, float]] = []
        for (run, left, width), low, high in self._cut(start, end):
            before, after = self._extent(run.start, low), self._extent(run.start, high)
            edges = (width - after, width - before) if run.right_to_left else (before, after)
            found.append((left + edges[0], left + edges[1]))
        return found

    def draw(
        self, surface: pygame.Surface, left: float, middle: int, colour: theme.Colour, window: tuple[int, int]
    ) -> None:
        """Draw the line from `left` on, `middle` pixels from the top; only what lies in `window` is rendered."""
        for run, offset, width in self._pieces:
            start, room = window[0] - left - offset, window[1] - window[0]
            if start >= width or start + room <= 0:
                continue
            part = self.shown[run.start : run.end]
            # `part` counts from the first character, which is the right one in a run from right to left
            skipped = width - start - room if run.right_to_left else start
            before, visible = self._text.part(part, max(0, math.floor(skipped)), room, self._height)
            label = self._text.render(visible, self._height, colour, right_to_left=run.right_to_left)
            x = offset + (width - before - self._text.extent(visible, self._height) if run.right_to_left else before)
            surface.blit(label, (round(left + x), middle - label.get_height() // 2))

    def _measured_caret(self, cursor: int) -> float:
        typed = typed_next(self.shown, cursor)
        left = 0.0
        for run in drawn_runs(self.shown[:cursor] + typed + self.shown[cursor:]):
            # places in the line without the letter
            start, end = (place - (place > cursor) for place in (run.start, run.end))
            if not run.start <= cursor < run.end:
                left += self._extent(start, end)
                continue
            if not run.right_to_left:
                return left + self._extent(start, cursor)
            # Measured as a whole less its beginning, because letters may be joined.
            return left + self._extent(start, end) - self._extent(start, cursor)
        return left

    def _cut(self, start: int, end: int) -> list[tuple[Piece, int, int]]:
        """Return the pieces that hold any of the characters, with the first and the last of them."""
        cut = [(piece, max(start, piece.run.start), min(end, piece.run.end)) for piece in self._pieces]
        return [(piece, low, high) for piece, low, high in cut if low < high]

    def _extent(self, start: int, end: int) -> float:
        return self._text.extent(self.shown[start:end], self._height)
