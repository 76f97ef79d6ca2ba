"""The caption grammar: a scene put into words, in many ways, from three words to a storybook sentence.

caption(scene, rng)            a training caption that names every label
caption(scene, rng, drop=0.1)  the same, with labels left out now and then
canonical(scene)               the plain sentence, always the same
held_out(scene, rng)           a caption in words no training caption uses
"""

import re
from collections.abc import Sequence
from typing import Final

import numpy as np

from longtake.model.diorama import held_out_words, words
from longtake.model.diorama.labels import LABELS
from longtake.model.diorama.scene import Scene


def _merged(*tables: words.Words) -> words.Words:
    """Tables of phrases as one, without repeats."""
    return {label: list(dict.fromkeys(phrase for table in tables for phrase in table[label])) for label in tables[0]}


SYNONYMS: Final[dict[str, words.Words]] = {
    "place": words.PLACES,
    "time": _merged(words.TIME_NAMES, words.TIME_CLAUSES, words.TIME_ADJECTIVES),
    "weather": _merged(words.WEATHER_NAMES, words.WEATHER_CLAUSES, words.WEATHER_ADJECTIVES),
    "actor": words.ACTORS,
    "colour": words.COLOURS,
    "speed": words.SPEEDS,
}
"""Every way a caption may put a label, by kind and label."""

HELD_OUT: Final = held_out_words.HELD_OUT
"""Ways to put a label that `caption` never uses: nouns for places and actors, clauses for times and weathers."""

_PLAIN_ODDS = 0.35
"""How often the plain word is chosen before any synonym."""
_NORMAL_SPEED_ODDS = 0.3
"""How often a normal speed is worth a word."""
_STALE_ODDS = 0.25
"""How often an event clause corrects a text that said something else."""
_LEADS = (
    "a picture of",
    "a storybook picture of",
    "a paper diorama of",
    "a scene with",
    "a drawing of",
    "watch",
    "here is",
)
_OPENINGS = ("once upon a time", "in a little paper world", "in a picture book", "in the story", "look")
_PASSING = ("passes by", "comes by", "is on its way", "goes by", "can be seen", "is there")
_FLYERS = ("balloon", "bird", "plane")
_VOWELS = "aeiou"
_STYLES = ("terse", "sentence", "fronted", "picture", "two", "event")
_STYLE_ODDS = (0.17, 0.27, 0.14, 0.12, 0.12, 0.18)


def with_article(noun: str, adjectives: Sequence[str] = ()) -> str:
    """A noun with its adjectives and the article it takes: "an old train", "the sea", "green hills"."""
    phrase = " ".join([*adjectives, noun])
    if noun in words.DEFINITE_NOUNS:
        return f"the {phrase}"
    head = re.split(" (?:of|with|in) ", noun)[0]
    plural = head.endswith("s") and not head.endswith("ss") and head not in words.SINGULAR_NOUNS
    if noun in words.BARE_NOUNS or plural:
        return phrase
    return f"{'an' if phrase[0] in _VOWELS else 'a'} {phrase}"


def canonical(scene: Scene) -> str:
    """The plain sentence for a scene: "a red balloon drifts over a meadow at dusk, in heavy rain"."""
    speed = "" if scene.speed == "normal" else f" {words.SPEEDS[scene.speed][0]}"
    preposition = _prepositions(scene.actor, scene.place)[0]
    return (
        f"{with_article(scene.actor, [scene.colour])} {words.VERBS[scene.actor][0]}{speed} "
        f"{preposition} {with_article(scene.place)} {words.TIME_CLAUSES[scene.time][0]}, "
        f"{words.WEATHER_CLAUSES[scene.weather][0]}"
    )


def caption(scene: Scene, rng: np.random.Generator, drop: float = 0.0) -> str:
    """A caption for a scene, drawn from the grammar; each label is left out with chance `drop`, never all of them."""
    return caption_and_kinds(scene, rng, drop)[0]


def caption_and_kinds(scene: Scene, rng: np.random.Generator, drop: float = 0.0) -> tuple[str, set[str]]:
    """A caption as `caption` draws it, and the kinds of label it was free to name."""
    kept = {kind for kind in LABELS if rng.random() >= drop}
    if not kept - {"speed", "colour"}:
        kept.add(str(rng.choice(["place", "time", "weather", "actor"])))
    return _finish(_Speaker(scene, kept, rng).speak(), rng), kept


def held_out(
    scene: Scene, rng: np.random.Generator, kinds: Sequence[str] = ("place", "time", "weather", "actor", "colour")
) -> str:
    """The plain sentence with held-out words in place of the given kinds' plain ones; speed goes unmentioned."""

    def pick(kind: str, plain: str) -> str:
        return str(rng.choice(HELD_OUT[kind][getattr(scene, kind)])) if kind in kinds else plain

    subject = with_article(pick("actor", scene.actor), [pick("colour", scene.colour)])
    preposition = _prepositions(scene.actor, scene.place)[0]
    return (
        f"{subject} {words.VERBS[scene.actor][0]} {preposition} {with_article(pick('place', scene.place))} "
        f"{pick('time', words.TIME_CLAUSES[scene.time][0])}, {pick('weather', words.WEATHER_CLAUSES[scene.weather][0])}"
    )


def misspell(text: str, rng: np.random.Generator) -> str:
    """The text with one slip of the fingers in one word of five letters or more, if it has one."""
    parts = text.split(" ")
    long = [index for index, word in enumerate(parts) if len(word) >= 5 and word.isalpha()]
    if not long:
        return text
    index = int(rng.choice(long))
    word = parts[index]
    at = int(rng.integers(1, len(word) - 1))
    slips = (
        word[:at] + word[at + 1 :],
        word[:at] + word[at] + word[at:],
        word[:at] + word[at + 1] + word[at] + word[at + 2 :],
    )
    parts[index] = slips[int(rng.integers(len(slips)))]
    return " ".join(parts)


def _prepositions(actor: str, place: str) -> tuple[str, ...]:
    if actor in _FLYERS:
        return words.AIR_PREPOSITIONS
    return words.SEA_PREPOSITIONS if place == "ocean" else words.LAND_PREPOSITIONS


def _finish(text: str, rng: np.random.Generator) -> str:
    """Now and then a capital and a full stop."""
    if rng.random() < 0.3:
        text = text[0].upper() + text[1:]
    return text if text.endswith(".") or rng.random() < 0.75 else text + "."


class _Speaker:
    """Puts the kept labels of one scene into words."""

    def __init__(self, scene: Scene, kept: set[str], rng: np.random.Generator) -> None:
        self.scene, self.kept, self.rng = scene, kept, rng

    def speak(self) -> str:
        style = str(self.rng.choice(_STYLES, p=_STYLE_ODDS))
        if style in ("sentence", "fronted", "two") and "actor" not in self.kept:
            style = "picture"
        text: str = getattr(self, style)()
        return text

    def pick(self, options: Sequence[str]) -> str:
        """The plain word often, any word otherwise; sunny words only where the sun is up."""
        if self.scene.time in ("dusk", "night"):
            options = [option for option in options if option not in words.SUNNY]
        if self.rng.random() < _PLAIN_ODDS:
            return options[0]
        return options[int(self.rng.integers(len(options)))]

    def subject(self, article: bool = True) -> str:
        actor = self.pick(words.ACTORS[self.scene.actor])
        colours = [self.pick(words.COLOURS[self.scene.colour])] if "colour" in self.kept else []
        return with_article(actor, colours) if article else " ".join([*colours, actor])

    def verb(self) -> str:
        """A verb for the actor, with its speed."""
        verb = self.pick(words.VERBS[self.scene.actor])
        told = self.scene.speed != "normal" or self.rng.random() < _NORMAL_SPEED_ODDS
        if "speed" in self.kept and told:
            return f"{verb} {self.pick(words.SPEEDS[self.scene.speed])}"
        return verb

    def where(self, spoken: set[str], article: bool = True) -> str:
        """The place, sometimes with the hour or the weather as an adjective, which is then added to `spoken`."""
        adjectives = []
        for kind, table in (("weather", words.WEATHER_ADJECTIVES), ("time", words.TIME_ADJECTIVES)):
            if kind in self.kept and not spoken and self.rng.random() < 0.25:
                adjectives.append(self.pick(table[getattr(self.scene, kind)]))
                spoken.add(kind)
        noun = self.pick(words.PLACES[self.scene.place])
        return with_article(noun, adjectives) if article else " ".join([*adjectives, noun])

    def at(self, spoken: set[str]) -> str:
        """The place after a preposition."""
        return f"{self.pick(_prepositions(self.scene.actor, self.scene.place))} {self.where(spoken)}"

    def clauses(self, spoken: set[str]) -> list[str]:
        """Hour and weather as clauses, as far as they are kept and not yet spoken."""
        tables = {"time": words.TIME_CLAUSES, "weather": words.WEATHER_CLAUSES}
        return [
            self.pick(table[getattr(self.scene, kind)])
            for kind, table in tables.items()
            if kind in self.kept and kind not in spoken
        ]

    def terse(self) -> str:
        """ "red fox, snowy forest, night" """
        spoken: set[str] = set()
        parts = [self.subject(article=False)] if "actor" in self.kept else []
        if "place" in self.kept:
            parts.append(self.where(spoken, article=False))
        for kind, table in (("time", words.TIME_NAMES), ("weather", words.WEATHER_NAMES)):
            if kind in self.kept and kind not in spoken:
                parts.append(self.pick(table[getattr(self.scene, kind)]))
        if "speed" in self.kept and self.scene.speed != "normal":
            parts.append(self.pick(words.SPEEDS[self.scene.speed]))
        if self.rng.random() < 0.5:
            parts = [parts[index] for index in self.rng.permutation(len(parts))]
        return ", ".join(parts)

    def sentence(self) -> str:
        """ "a crimson balloon drifts over the sea at night, in heavy rain" """
        spoken: set[str] = set()
        parts = [self.subject(), self.verb()]
        if "place" in self.kept:
            parts.append(self.at(spoken))
        clauses = self.clauses(spoken)
        if len(clauses) == 2 and self.rng.random() < 0.3:
            clauses.reverse()
        joint = ", " if self.rng.random() < 0.6 else " "
        opening = f"{self.rng.choice(_OPENINGS)}, " if self.rng.random() < 0.1 else ""
        return opening + joint.join([" ".join([*parts, *clauses[:1]]), *clauses[1:]])

    def fronted(self) -> str:
        """ "at night, in heavy rain, a crimson balloon drifts over the sea" """
        spoken: set[str] = set()
        parts = [self.subject(), self.verb()]
        if "place" in self.kept:
            parts.append(self.at(spoken))
        return ", ".join([*self.clauses(spoken), " ".join(parts)])

    def picture(self) -> str:
        """ "a paper diorama of a crimson balloon over the sea, at night, in heavy rain" """
        spoken: set[str] = set()
        parts = [self.subject()] if "actor" in self.kept else []
        if "place" in self.kept:
            parts.append(self.at(spoken) if parts else self.where(spoken))
        if parts and self.rng.random() < 0.5:
            parts.insert(0, str(self.rng.choice(_LEADS)))
        return ", ".join([*([" ".join(parts)] if parts else []), *self.clauses(spoken)])

    def two(self) -> str:
        """ "It is night and rain is falling over the sea. A crimson balloon drifts by." """
        facts = []
        if "time" in self.kept:
            facts.append(f"it is {self.pick(words.TIME_NAMES[self.scene.time])}")
        if "weather" in self.kept:
            facts.append(self.pick(words.WEATHER_STATEMENTS[self.scene.weather]))
        spoken = {"time", "weather"}
        passing = str(self.rng.choice(_PASSING))
        place = f" {self.at(spoken)}" if "place" in self.kept else ""
        action = f"{self.verb()}{place}" if place or self.rng.random() < 0.5 else passing
        second = f"{self.subject()} {action}"
        sentences = [" and ".join(facts), second] if facts else [second]
        if self.rng.random() < 0.4:
            sentences.reverse()
        return ". ".join(text[0].upper() + text[1:] for text in sentences) + "."

    def event(self) -> str:
        """ "a crimson balloon over the sea, at night, in heavy rain": a text and the clauses of later events.

        Sometimes the text says another hour or weather than the clause that comes after it: the later one counts.
        """
        # Lists, since the order in which a set is gone through differs from process to process.
        late = [kind for kind in ("time", "weather") if kind in self.kept and self.rng.random() < 0.7]
        base = _Speaker(self.scene, self.kept.difference(late), self.rng)
        stale = [kind for kind in late if self.rng.random() < _STALE_ODDS]
        if stale:
            labels = {kind: str(self.rng.choice(LABELS[kind])) for kind in stale}
            base = _Speaker(self.scene.changed(**labels), self.kept.difference(late).union(stale), self.rng)
        tables = {"time": words.TIME_CLAUSES, "weather": words.WEATHER_CLAUSES}
        clauses = [self.pick(tables[kind][getattr(self.scene, kind)]) for kind in tables if kind in late]
        if not base.kept - {"speed", "colour"}:
            return ", ".join(clauses)
        styles = ("sentence", "terse", "picture") if "actor" in base.kept else ("picture",)
        text: str = getattr(base, str(self.rng.choice(styles)))()
        return ", ".join([text, *clauses])
