"""Whether a typed prompt changes a part of what was said before, and what the two say together.

"the same fox at dawn", "it rains now" and "now a blue train" say a part and mean the rest as it was. Such a prompt is
appended to the prompt in force as one more clause: whatever it leaves unsaid still stands in the text, and what is
said last wins. docs/protocol.md, section 5, is the specification.
"""

import re

OPENINGS = (
    *("the same", "same", "as before", "otherwise", "it", "it's", "its", "he", "she", "they", "his", "her", "their"),
    *("now", "then", "still", "also", "again", "and", "but", "suddenly", "meanwhile", "later", "this time", "keep"),
    *("make it", "make the", "turn it", "turn the", "let it", "let the", "change it", "change the", "instead"),
)
"""a prompt that begins with one of these amends the one before"""
REFERENCES = ("the same", "as before", "like before")
"""and so does one that has one of these anywhere"""


def _any_of(phrases: tuple[str, ...]) -> str:
    return "|".join(re.escape(phrase).replace(r"\ ", r"\s+") for phrase in phrases)


_BEGINS = re.compile(rf"\W*(?:{_any_of(OPENINGS)})(?!\w)", re.IGNORECASE)
_REFERS = re.compile(rf"(?<!\w)(?:{_any_of(REFERENCES)})(?!\w)", re.IGNORECASE)


def amends(text: str) -> bool:
    """Return whether a prompt amends the one before, going by its wording."""
    plain = text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return _BEGINS.match(plain) is not None or _REFERS.search(plain) is not None


def amended(before: str, text: str) -> str:
    """Return the prompt that says what `before` said, and then `text`."""
    kept = before.rstrip(" .,;:")
    if not kept or kept.endswith(text.rstrip(" .,;:")):
        return before or text
    return f"{kept}, {text}"
