"""The prompt line: a text, a cursor and a history. No pygame; the window feeds it keys and draws it."""

from dataclasses import dataclass, field

MAX_CHARACTERS = 2000
"""limit of a prompt message"""
MAX_HISTORY = 100


@dataclass(kw_only=True)
class PromptLine:
    """An edited line of text. `cursor` is an index into `text`, 0 to its length."""

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
        """Insert typed or pasted text. Line breaks become spaces; other control characters are removed."""
        clean = "".join(c for c in " ".join(text.splitlines()) if c.isprintable())
        clean = clean[: MAX_CHARACTERS - len(self.text)]
        self.text = self.text[: self.cursor] + clean + self.text[self.cursor :]
        self.cursor += len(clean)

    def backspace(self, *, word: bool = False) -> None:
        """Delete the character, or the word, before the cursor."""
        start = self._word_left() if word else max(0, self.cursor - 1)
        self.text = self.text[:start] + self.text[self.cursor :]
        self.cursor = start

    def delete(self) -> None:
        """Delete the character after the cursor."""
        self.text = self.text[: self.cursor] + self.text[self.cursor + 1 :]

    def move(self, step: int, *, word: bool = False) -> None:
        """Move the cursor by `step` characters, or by a word in that direction."""
        if word:
            self.cursor = self._word_left() if step < 0 else self._word_right()
        else:
            self.cursor = min(len(self.text), max(0, self.cursor + step))

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

    def submit(self) -> str:
        """Empty the line, add its text to the history and return it; "" if it is blank."""
        text = self.text.strip()
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

    def _word_left(self) -> int:
        head = self.text[: self.cursor].rstrip()
        return head.rfind(" ") + 1

    def _word_right(self) -> int:
        rest = self.text[self.cursor :]
        word = len(rest) - len(rest.lstrip())
        end = rest.find(" ", word)
        return len(self.text) if end < 0 else self.cursor + end
