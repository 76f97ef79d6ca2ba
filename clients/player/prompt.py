"""The prompt line: a text, a cursor and a history. No pygame; the window feeds it keys and draws it."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from longtake.clients.bidi import starts_at_the_right
from longtake.clients.player import graphemes
from longtake.protocol.text import clean

MAX_CHARACTERS = 2000
"""limit of a prompt message"""
MAX_HISTORY = 100
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(kw_only=True)
class PromptLine:
    """An edited line of text. `cursor` is an index into `text`, 0 to its length, and never inside a character."""

    text: str = ""
    cursor: int = 0
    focused: bool = False
    history: list[str] = field(default_factory=list)
    _place: int = 0
    """index into the history while walking through it; its length is the line being written"""
    _draft: str = ""

    def focus(self) -> None:
        """Begin to type."""
        self.focused = True
        self._place, self._draft = len(self.history), self.text

    def leave(self) -> None:
        """Stop typing and keep the text for the next time."""
        self.focused = False

    def insert(self, text: str) -> None:
        """Insert typed or pasted text. Line breaks become spaces; what cannot be drawn is removed."""
        # Cleaned with the text before it, because a mark or a joiner counts after the letter that it belongs to.
        head, tail = self.text[: self.cursor], self.text[self.cursor :]
        typed = CONTROLS.sub("", " ".join(text.splitlines()))
        head = _cleaned(head + typed)[: MAX_CHARACTERS - len(tail)]
        self.text, self.cursor = head + tail, len(head)

    def backspace(self, *, word: bool = False) -> None:
        """Delete the character, or the word, before the cursor."""
        start = self._word_left() if word else graphemes.before(self.text, self.cursor)
        self._set(self.text[:start], self.text[self.cursor :])

    def delete(self) -> None:
        """Delete the character after the cursor."""
        self._set(self.text[: self.cursor], self.text[graphemes.after(self.text, self.cursor) :])

    def move(self, step: int, *, word: bool = False) -> None:
        """Move the cursor by `step` characters, or by a word in that direction."""
        if word:
            self.cursor = self._word_left() if step < 0 else self._word_right()
            return
        for _ in range(abs(step)):
            self.cursor = (graphemes.before if step < 0 else graphemes.after)(self.text, self.cursor)

    def move_sideways(self, step: int, *, word: bool = False) -> None:
        """Move the cursor as the left (-1) or right (1) arrow key does: in a line from right to left, left is on."""
        self.move(-step if starts_at_the_right(self.text) else step, word=word)

    def move_to(self, place: int) -> None:
        """Put the cursor at a place; -1 is the end."""
        self.cursor = len(self.text) if place < 0 else min(place, len(self.text))

    def clear(self) -> None:
        """Empty the line."""
        self.text, self.cursor = "", 0

    def older(self) -> None:
        """Show the previous prompt of the history."""
        self._walk(-1)

    def newer(self) -> None:
        """Show the next prompt of the history; the unfinished line comes last."""
        self._walk(1)

    def suggest(self, prompts: Sequence[str]) -> None:
        """Offer prompts in the history, so that `older` shows the first of them first."""
        self.history = [*reversed(prompts), *self.history][-MAX_HISTORY:]

    def submit(self) -> str:
        """Empty the line, add its text to the history and return it; "" if it is blank."""
        text = clean(self.text).strip()
        if text and (not self.history or self.history[-1] != text):
            self.history = [*self.history, text][-MAX_HISTORY:]
        self.clear()
        self._place, self._draft = len(self.history), ""
        return text

    def _walk(self, step: int) -> None:
        place = min(len(self.history), max(0, self._place + step))
        if place == self._place:
            return
        if self._place == len(self.history):
            self._draft = self.text
        self._place = place
        self.text = self._draft if place == len(self.history) else self.history[place]
        self.cursor = len(self.text)

    def _set(self, head: str, tail: str) -> None:
        """Show `head`, the cursor and `tail`, without marks in `tail` that lost their letter."""
        both = _cleaned(head + tail)
        self.text, self.cursor = both, min(len(head), len(both))

    def _word_left(self) -> int:
        head = self.text[: self.cursor].rstrip()
        return head.rfind(" ") + 1

    def _word_right(self) -> int:
        rest = self.text[self.cursor :]
        word = len(rest) - len(rest.lstrip())
        end = rest.find(" ", word)
        return len(self.text) if end < 0 else self.cursor + end


def _cleaned(text: str) -> str:
    """Clean a line that is being typed, which may end with a joiner or be blank for now."""
    return clean(text + "x")[:-1]
