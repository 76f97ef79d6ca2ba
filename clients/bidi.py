"""The order in which text of both directions is drawn, such as a Hebrew or Arabic title with a Latin name in it.

    for part, right_to_left in drawn_order("take 3 \\u05e9\\u05dc\\u05d5\\u05dd!"):
        ...                      # from the left edge to the right

It follows the Unicode Bidirectional Algorithm (UAX 9) without explicit marks, which are removed from texts where they
enter. A part keeps the order of its characters; whoever draws one from right to left shapes it, or uses `mirrored`.
"""

import unicodedata
from itertools import groupby
from typing import NamedTuple

RIGHT_TO_LEFT = frozenset({"R", "AL"})
NUMBERS = frozenset({"EN", "AN"})
BETWEEN_NUMBERS = frozenset({"CS", "ES"})
"""signs such as the point in 12.5"""
SCRIPTS = {"ARABIC": "Arab", "HEBREW": "Hebr", "SYRIAC": "Syrc", "THAANA": "Thaa", "NKO": "Nkoo"}
"""the first word of a character's name, and what fonts call its script (ISO 15924)"""
_MIRRORS = str.maketrans("()[]{}<>\u00ab\u00bb", ")(][}{><\u00bb\u00ab")


class Run(NamedTuple):
    """A part of a line that is drawn in one direction: characters `start` to `end` (exclusive)."""

    start: int
    end: int
    right_to_left: bool


def drawn_order(text: str) -> list[tuple[str, bool]]:
    """Split a line into parts from left to right; each with whether it is drawn from right to left."""
    return [(text[run.start : run.end], run.right_to_left) for run in drawn_runs(text)]


def drawn_runs(text: str) -> list[Run]:
    """Split a line into runs from left to right, as places in the text."""
    kinds = [unicodedata.bidirectional(character) for character in text]
    if not any(kind in RIGHT_TO_LEFT for kind in kinds):
        return [Run(0, len(text), False)] if text else []
    levels = _levels(kinds)
    runs: list[tuple[int, int, int]] = []
    for level, some in groupby(range(len(levels)), key=levels.__getitem__):
        places = list(some)
        runs.append((level, places[0], places[-1] + 1))
    for level in range(max(levels), 0, -1):  # rule L2
        turned: list[tuple[int, int, int]] = []
        for high, group in groupby(runs, key=lambda run: run[0] >= level):
            part = list(group)
            turned += reversed(part) if high else part
        runs = turned
    return [Run(start, end, level % 2 == 1) for level, start, end in runs]


def starts_at_the_right(text: str) -> bool:
    """Whether a line as a whole goes from right to left: its first letter does."""
    return _strong(text) in RIGHT_TO_LEFT


def typed_next(text: str, cursor: int) -> str:
    """Return a character like the one that is probably typed next at `cursor`: a letter of a direction, or a digit.

    After a digit comes a digit; else a letter in the direction of the last one, or at the start of the first one.
    """
    before = [unicodedata.bidirectional(character) for character in text[:cursor]]
    if before and before[-1] in NUMBERS:
        return text[cursor - 1]
    kind = next((kind for kind in reversed(before) if kind == "L" or kind in RIGHT_TO_LEFT), "") or _strong(text)
    return "\u05d0" if kind in RIGHT_TO_LEFT else "a"


def mirrored(text: str) -> str:
    """Return a part that is drawn from right to left as it looks, for a font that only draws from left to right."""
    clusters: list[str] = []
    for character in text:
        if clusters and unicodedata.combining(character):
            clusters[-1] += character
        else:
            clusters.append(character.translate(_MIRRORS))
    return "".join(reversed(clusters))


def script_of(part: str) -> str:
    """Return the script of a part that is drawn from right to left; Hebrew if no letter says which."""
    names = (unicodedata.name(character, "").partition(" ")[0] for character in part)
    return next((SCRIPTS[name] for name in names if name in SCRIPTS), "Hebr")


def _strong(text: str) -> str:
    """Return the kind of the first letter; "L" if there is none."""
    kinds = (unicodedata.bidirectional(character) for character in text)
    return next((kind for kind in kinds if kind == "L" or kind in RIGHT_TO_LEFT), "L")


def _levels(kinds: list[str]) -> list[int]:
    """Return each character's level: even is drawn from left to right, odd from right to left."""
    beside = [*zip(["", *kinds], kinds, [*kinds[1:], ""], strict=False)]
    kinds = [
        left if kind in BETWEEN_NUMBERS and left == right and left in NUMBERS else kind for left, kind, right in beside
    ]
    strong = next((kind for kind in kinds if kind == "L" or kind in RIGHT_TO_LEFT), "L")
    base = 1 if strong in RIGHT_TO_LEFT else 0
    levels: list[int | None] = []
    last = base == 1
    """whether the last strong character was drawn from right to left"""
    for kind in kinds:
        if kind == "L" or kind in RIGHT_TO_LEFT:
            last = kind != "L"
            levels.append(1 if last else 2 * base)
        elif kind in NUMBERS:
            levels.append(2 if last or base else 0)
        elif kind == "NSM" and levels:
            levels.append(levels[-1])
        else:
            levels.append(None)
    return _neutral(levels, kinds, base)


def _neutral(levels: list[int | None], kinds: list[str], base: int) -> list[int]:
    """Give signs and spaces the direction of both neighbours if they agree, else that of the line (rules N1, N2)."""

    def turned(place: int) -> bool:
        """Whether the character counts as right to left for its neighbours: numbers do, beside such letters."""
        level = levels[place]
        return base == 1 if level is None else level == 1 or (level == 2 and kinds[place] in NUMBERS)

    following: list[int | None] = []
    after: int | None = None
    for place in range(len(levels) - 1, -1, -1):
        following.append(after)
        after = place if levels[place] is not None else after
    following.reverse()
    resolved: list[int] = []
    before: int | None = None
    for place, level in enumerate(levels):
        if level is not None:
            resolved.append(level)
            before = place
            continue
        after = following[place]
        left = turned(before) if before is not None else base == 1
        right = turned(after) if after is not None else base == 1
        resolved.append((1 if left else 2 * base) if left == right else base)
    return resolved
