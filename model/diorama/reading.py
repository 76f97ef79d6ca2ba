"""What diorama takes a text for: the label of each kind that the text names, and the words it does not know.

It reads with the words that the text encoder is trained on, so it says what the picture will show without the
encoder: a long phrase wins over its parts, what is said last wins, and a misspelt word counts as the word that is one
slip away. Imports no torch: the server reads every prompt with it.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

from longtake.model.diorama import held_out_words, words
from longtake.model.diorama.captions import SYNONYMS
from longtake.model.diorama.labels import LABELS, SCORED
from longtake.model.diorama.loose_words import LOOSE
from longtake.model.interface.understanding import Understanding

KNOWS: Final = {kind: LABELS[kind] for kind in ("actor", "colour", "place", "time", "weather", "speed")}
"""everything the world can show, by kind, in the order in which people say it"""

MOST_UNKNOWN: Final = 12
"""unknown words that are listed"""
LONGEST_UNKNOWN: Final = 40
"""letters of an unknown word that are kept"""
_WORD = re.compile(r"[^\W\d_]+")
_SHORTEST_MISSPELT = 4
"""letters; shorter words have too many neighbours"""
_SPOKEN: Final[dict[str, words.Words]] = {
    "weather": {
        "clear": ["sunny", "sun", "sunlit", "rain stops", "snow stops", "rain ends", "no rain", "no snow", "no fog"],
        "rain": ["raining", "rains", "pours", "pouring", "drizzles", "drizzling", "storms"],
        "snow": ["snowing", "snows"],
        "fog": ["fogs"],
    },
    "time": {
        "dawn": ["sun rises", "rising sun"],
        "day": ["day", "noonday sun"],
        "dusk": ["sun sets", "setting sun"],
        "night": ["moon", "stars", "in the dark", "tonight", "midnite"],
    },
    "speed": {"slow": ["slower", "slows"], "normal": [], "fast": ["faster", "speeds"]},
    "actor": {"balloon": ["baloon", "ballon"]},
}
"""what people say beside the words of the captions"""
_NO_LABEL: Final = frozenset({"along", "ahead", "forward", "onward", "onwards", "light", "sound", "calm", "as usual"})
"""phrases of the tables that mean something else as often as not"""
_IN_WORDS: Final[dict[str, dict[str, str]]] = {
    "place": {"ocean": "sea"},
    "time": {"dawn": "at dawn", "day": "by day", "dusk": "at dusk", "night": "at night"},
    "weather": {"clear": "clear sky"},
}
"""how a label is said, if not by its name"""
_PLAIN: Final = (
    "a an the this that these those some any all both each every one two three no not i you he she it we they me "
    "him her us them my your his its our their same other another and or but so if then than as while when where "
    "which who what how again also still now just only very quite too really once upon there here away back out "
    "up down off in on at by for from to of with without into onto over under above below beneath behind before "
    "after through across past around near along between among against toward towards inside outside during until "
    "since about is are was were be been being am do does did has have had having can could will would shall "
    "should may might must let lets make makes turn turns become becomes watch book diorama change changes keep "
    "keeps stay stays start starts begin begins stop stops show shows put see seen get gets go goes going gone "
    "come comes coming came look looks looking like move moves moving pass passes passing big small little large "
    "great tiny huge old new young long short tall high low wide deep beautiful lovely nice pretty cute happy sad "
    "lone lonely single colour color coloured colored painted world scene picture story time times sky ground air "
    "day suddenly slowly instead meanwhile later soon finally first last next more less much many few lot bit way "
    "something everything nothing please front top side middle end left right ago s t re ll ve d m "
)
_COMMON: Final = frozenset(_PLAIN.split())
"""words that name nothing to show, and are no news to anybody"""


@dataclass(frozen=True)
class _Found:
    """A label's phrase in a text, by its words' places."""

    first: int
    after: int
    kind: str
    label: str


class _Lexicon:
    """All phrases by their words, and all words by what is left of them with one letter missing."""

    def __init__(self) -> None:
        self.phrases: dict[tuple[str, ...], tuple[str, str]] = {}
        self.known: set[str] = set(_COMMON)
        statements = {"weather": words.WEATHER_STATEMENTS}
        for tables in (LOOSE, held_out_words.HELD_OUT, SYNONYMS, statements, _SPOKEN):
            for kind, labels in tables.items():
                for label, phrases in labels.items():
                    self._add(kind, label, phrases)
        for verbs in words.VERBS.values():
            self.known.update(word for verb in verbs for word in split(verb))
        self.longest = max(len(phrase) for phrase in self.phrases)
        self._near: dict[str, set[str]] = {}
        for word in self.known:
            if len(word) >= _SHORTEST_MISSPELT:
                for rest in one_less(word):
                    self._near.setdefault(rest, set()).add(word)

    def _add(self, kind: str, label: str, phrases: Iterable[str]) -> None:
        for phrase in phrases:
            if phrase not in _NO_LABEL:
                self.phrases[tuple(split(phrase))] = (kind, label)
            self.known.update(split(phrase))

    def spelt(self, word: str) -> str | None:
        """Return the known word that this one is, or is a plural or a slip of; None for an unknown one."""
        for form in (word, word.removesuffix("s"), word.removesuffix("es"), f"{word}s"):
            if form in self.known:
                return form
        if len(word) < _SHORTEST_MISSPELT:
            return None
        near = {other for rest in one_less(word) for other in self._near.get(rest, ())}
        near = {other for other in near if other[0] == word[0] and abs(len(other) - len(word)) <= 1}
        # One that names a label before one that does not, then the first, so that the answer is always the same.
        return min(near, key=lambda other: ((other,) not in self.phrases, other), default=None)


@cache
def _lexicon() -> _Lexicon:
    return _Lexicon()


def split(text: str) -> list[str]:
    """Return a text's words in lower case; hyphens part words, apostrophes do not."""
    return _WORD.findall(text.lower().replace("'", "").replace("\N{RIGHT SINGLE QUOTATION MARK}", ""))


def one_less(word: str) -> set[str]:
    """Return the word, and the word with each of its letters left out."""
    return {word, *(word[:at] + word[at + 1 :] for at in range(len(word)))}


@lru_cache(maxsize=256)
def understand(text: str) -> Understanding:
    """Return what diorama takes a text for."""
    lexicon = _lexicon()
    spoken = split(text)
    spelt = [lexicon.spelt(word) for word in spoken]
    found = list(_phrases([word or "" for word in spelt], lexicon))
    labels = {one.kind: one.label for one in _of_the_world(found)}
    unknown = dict.fromkeys(word for word, known in zip(spoken, spelt, strict=True) if known is None)
    return Understanding(
        labels={kind: labels[kind] for kind in LABELS if kind in labels},
        shown_as=in_words(labels),
        by_chance=tuple(kind for kind in SCORED if kind not in labels),
        unknown=tuple(word[:LONGEST_UNKNOWN] for word in unknown)[:MOST_UNKNOWN],
    )


def in_words(labels: dict[str, str]) -> str:
    """Return labels as people say them: "purple train, city, by day"."""

    def said(kind: str) -> str:
        return _IN_WORDS.get(kind, {}).get(labels[kind], labels[kind]) if kind in labels else ""

    speed = said("speed") if labels.get("speed") != "normal" else ""
    actor = said("actor") or ("something" if "colour" in labels or speed else "")
    subject = " ".join(part for part in (speed, said("colour"), actor) if part)
    return ", ".join(part for part in (subject, said("place"), said("time"), said("weather")) if part)


def essence(text: str, most_words: int) -> str:
    """Return a text of at most `most_words` as it is, and of a longer one what it names last of each kind, in order.

    The text encoder was trained on captions, and what stands late in a longer text does not reach the picture.
    """
    spoken = split(text)
    if len(spoken) <= most_words:
        return text
    lexicon = _lexicon()
    last: dict[str, _Found] = {}
    for one in _of_the_world(list(_phrases([lexicon.spelt(word) or "" for word in spoken], lexicon))):
        last[one.kind] = one
    named = [word for one in sorted(last.values(), key=lambda one: one.first) for word in spoken[one.first : one.after]]
    return " ".join(named or spoken[-most_words:])


def _of_the_world(found: list[_Found]) -> Iterator[_Found]:
    """Yield the phrases that say what to show: in "a red train through purple mountains" purple says nothing."""
    for index, one in enumerate(found):
        follower = found[index + 1] if index + 1 < len(found) else None
        of_the_place = follower is not None and follower.kind == "place" and follower.first == one.after
        if not (one.kind == "colour" and of_the_place):
            yield one


def _phrases(spelt: list[str], lexicon: _Lexicon) -> Iterator[_Found]:
    """Find the phrases from left to right, the longest at each place."""
    at = 0
    while at < len(spelt):
        for count in range(min(lexicon.longest, len(spelt) - at), 0, -1):
            meaning = lexicon.phrases.get(tuple(spelt[at : at + count]))
            if meaning is not None:
                yield _Found(at, at + count, *meaning)
                at += count
                break
        else:
            at += 1
