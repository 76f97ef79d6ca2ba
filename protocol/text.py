"""Cleans text where it enters, so that everything behind can draw, print and log it.

>>> clean("storm\u200b at\nsea")
'storm at sea'
>>> clean("\u200b")
''
"""

import unicodedata
from collections.abc import Iterator

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
"""stands for half a surrogate pair, which no encoding can carry"""
JOINERS = frozenset("\u200c\u200d")
"""invisible, but they shape the letters and emoji on both sides"""
BLANKS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
"""letters and a Braille pattern by category; nothing is drawn for them"""
VISIBLE_FORMATS = frozenset("\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u08e2\U000110bd\U000110cd")
"""format characters by category that are drawn: signs around Arabic, Syriac and Kaithi numbers"""


def is_utf8(text: str) -> bool:
    """Whether a text can be written as UTF-8: file names that are no text have half characters (surrogates)."""
    return not any("\ud800" <= character <= "\udfff" for character in text)


def clean(text: str) -> str:
    """Return `text` with its control characters as spaces and without invisible ones; "" if nothing visible is left.

    Invisible are zero-width characters, marks without a letter before them and directions of writing. A joiner stays
    between two visible characters, because Persian, Indic scripts and emoji need it.
    """
    if text.isascii() and text.isprintable():
        return text if text.strip() else ""
    cleaned = "".join(_kept(text)).rstrip("".join(JOINERS))
    return cleaned if cleaned.strip() else ""


def _kept(text: str) -> Iterator[str]:
    joinable = False
    """whether the character before is one that a mark or a joiner can follow"""
    for character in text:
        category = unicodedata.category(character)
        if category in ("Cc", "Zl", "Zp"):
            joinable = False
            yield " "
        elif category == "Cs":
            joinable = True
            yield REPLACEMENT
        elif category == "Zs" or character in BLANKS:
            joinable = False
            yield character if category == "Zs" else " "
        elif category.startswith("M") or character in JOINERS:
            if joinable:
                yield character
        elif category != "Cf" or character in VISIBLE_FORMATS:
            joinable = True
            yield character
