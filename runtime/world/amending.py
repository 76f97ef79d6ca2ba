"""Whether a typed prompt changes a part of what was said before, and what the two say together.

"the same fox at dawn", "it rains now" and "now a blue train" say a part and mean the rest as it was. Such a prompt is
appended to the prompt in force as one more clause: whatever it leaves unsaid still stands in the text, and what is
said last wins. Where the model can say what a text means, clauses of which nothing is left are dropped, so that a text
does not grow with every change. docs/protocol.md, section 5, is the specification.
"""

import re
from collections.abc import Callable, Mapping

Reader = Callable[[str], Mapping[str, str]]
"""says what a model takes a text for: labels by kind, such as `{"time": "night"}`; none for a model that cannot say"""

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


END = " .,;:"
"""what stands between a text and the one that amends it"""
_CLAUSES = re.compile(r"(?<=[.,;:])\s+")
_BEGINS = re.compile(rf"\W*(?:{_any_of(OPENINGS)})(?!\w)", re.IGNORECASE)
_REFERS = re.compile(rf"(?<!\w)(?:{_any_of(REFERENCES)})(?!\w)", re.IGNORECASE)


def amends(text: str) -> bool:
    """Return whether a prompt amends the one before, going by its wording."""
    plain = text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return _BEGINS.match(plain) is not None or _REFERS.search(plain) is not None


def no_labels(text: str) -> Mapping[str, str]:
    """Return nothing: the reader for a model that cannot say what it takes a text for."""
    return {}


def amended(before: str, text: str, labels_of: Reader = no_labels) -> str:
    """Return the prompt that says what `before` said, as far as it still holds, and then `text`."""
    kept = before.rstrip(END)
    if not kept or kept.endswith(text.rstrip(END)):
        return before or text
    whole = f"{kept}, {text}"
    shorter = ", ".join(part for part in (_still_said(kept, text, labels_of), text) if part)
    return shorter if labels_of(shorter) == labels_of(whole) else whole


def _still_said(before: str, text: str, labels_of: Reader) -> str:
    """Return the clauses of `before` without those that name something and of whose labels nothing is left.

    A label is gone if a later clause names the kind, and not needed if the clause before says the same.
    """
    clauses = _CLAUSES.split(before)
    said: list[Mapping[str, str]] = []
    in_force: dict[str, str] = {}
    needed: list[set[str]] = []
    for clause in clauses:
        labels = labels_of(clause)
        said.append(labels)
        needed.append({kind for kind, label in labels.items() if in_force.get(kind) != label})
        in_force.update(labels)
    later = set(labels_of(text))
    kept = []
    for clause, labels, kinds in zip(reversed(clauses), reversed(said), reversed(needed), strict=True):
        if labels and kinds <= later:
            continue
        later.update(labels)
        kept.append(clause)
    return " ".join(reversed(kept)).rstrip(END)
