"""What a scenario file says, as frozen typed objects: world, prompt template, slots, events, timeline, expectations.

A scenario is data. `loading.py` reads the YAML files, `runner.py` drives a world with one, and `Scenario.script`
is the part of it that travels to the server (see `longtake.protocol.messages.Script`).
"""

import re
from typing import Annotated, Literal, NamedTuple

import msgspec
from msgspec import Meta

from longtake.protocol.messages import EventDef, Name, Phrase, Script, Seed, Slot, Text

TIME_PATTERN = r"^(?=.)(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?$"
DIORAMA_LABELS: dict[str, tuple[str, ...]] = {
    "place": ("meadow", "forest", "desert", "mountains", "city", "ocean"),
    "time": ("dawn", "day", "dusk", "night"),
    "weather": ("clear", "rain", "snow", "fog"),
    "actor": ("balloon", "bird", "plane", "train", "boat", "fox"),
    "colour": ("red", "orange", "yellow", "green", "blue", "purple", "white", "black"),
}
"""what diorama's probe can tell apart; an expected label outside of it could never be met"""

PLAYER_KEYS = frozenset({"space", "return", "enter", "escape", "tab", "/", ".", *(f"f{n}" for n in range(1, 13))})
"""keys an event cannot have: the player uses them itself (the same as in `clients/player/help.py`)"""

NAMED_KEYS = ("up", "down", "left", "right", "home", "end", "page up", "page down", "insert", "delete", "backspace")
"""keys of more than one letter that an event can have, as SDL calls them"""

TimeText = Annotated[str, Meta(pattern=TIME_PATTERN)]


class TimedCue(NamedTuple):
    """One cue of a timeline with its tick worked out."""

    tick: int
    kind: Literal["prompt", "event"]
    text: str
    """the typed prompt, or the event's name"""
    name: str = ""
    labels: dict[str, str] | None = None
    """what a probe should read in the picture from here on, by kind"""


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base: a key that is not known is an error, because it is a misspelt one."""


class SlotSpec(_Strict, frozen=True, kw_only=True):
    """One variable of the prompt: its first value and what the prompt says for each value."""

    default: Phrase = ""
    values: dict[str, Phrase] = {}


class EventSpec(_Strict, frozen=True, kw_only=True):
    """A named change of the slots; `key` is the keyboard key that fires it, `label` what the player shows."""

    set: dict[str, str]
    key: Annotated[str, Meta(max_length=16)] = ""
    label: Annotated[str, Meta(max_length=64)] = ""


class Moment(_Strict, frozen=True, kw_only=True):
    """One entry of the timeline: when (one of `at`, `tick`, `after`) and what (one of `prompt`, `event`).

    `after` names an earlier entry and `delay` is counted from it, so that a stretch can be moved as a whole.
    `labels` says what a probe should read after a free prompt; after an event the slots' values say it.
    """

    at: TimeText | None = None
    tick: Annotated[int, Meta(ge=0)] | None = None
    after: Name | None = None
    delay: TimeText | None = None
    prompt: Text | None = None
    event: Name | None = None
    name: Name | None = None
    labels: dict[str, str] = {}


class Expectations(_Strict, frozen=True, kw_only=True):
    """What must hold after an automated run; what is left out is not checked."""

    fps_min: Annotated[float, Meta(gt=0)] | None = None
    """frames shown in a second of wall time, held ones not counted; live mode only"""
    held_max: Annotated[int, Meta(ge=0)] | None = None
    """deadlines at which the last frame was shown again; live mode only"""
    latency_ms_max: Annotated[float, Meta(gt=0)] | None = None
    """median time from sending an event to receiving its first frame; live mode only"""
    adherence_min: dict[str, Annotated[float, Meta(ge=0, le=1)]] = {}
    """for each kind, the least share of settled blocks in which the probe reads what the scenario says"""


class Scenario(_Strict, frozen=True, kw_only=True):
    """A whole scenario file. `loading.load` has checked that its parts fit together."""

    name: Name
    title: Annotated[str, Meta(max_length=120)] = ""
    description: str = ""
    model: Name = "diorama"
    seed: Seed = 0
    template: Text
    slots: dict[str, SlotSpec] = {}
    events: dict[str, EventSpec] = {}
    timeline: list[Moment] = []
    seconds: Annotated[float, Meta(gt=0, le=86_400)] = 60.0
    labels: dict[str, str] = {}
    """what a probe should read although no slot says it, because the template does"""
    expect: Expectations = Expectations()

    def script(self) -> Script:
        """The steerable part, in the form in which it is sent to a server."""
        return Script(
            name=self.name,
            title=self.title,
            template=self.template,
            slots={name: Slot(default=slot.default, values=slot.values) for name, slot in self.slots.items()},
            events={
                name: EventDef(set=event.set, key=event.key, label=event.label) for name, event in self.events.items()
            },
        )

    def cues(self, fps: int) -> list[TimedCue]:
        """The timeline in order of ticks, with the labels that hold from each cue on."""
        ticks = moment_ticks(self.timeline, fps)
        order = sorted(range(len(self.timeline)), key=lambda index: ticks[index])
        labels = self.first_labels()
        cues: list[TimedCue] = []
        for index in order:
            moment = self.timeline[index]
            if moment.event is not None:
                labels = labels | self.events[moment.event].set | moment.labels
                cues.append(TimedCue(ticks[index], "event", moment.event, moment.name or moment.event, labels))
            elif moment.prompt is not None:
                labels = dict(moment.labels)
                cues.append(TimedCue(ticks[index], "prompt", moment.prompt, moment.name or "", labels))
        return cues

    def first_labels(self) -> dict[str, str]:
        """What a probe should read before the first cue."""
        return {name: slot.default for name, slot in self.slots.items()} | self.labels


def seconds_of(text: str) -> float:
    """Seconds in `10s`, `2.5s`, `3m` or `1m30s`; ValueError for anything else."""
    match = re.match(TIME_PATTERN, text)
    if match is None:
        raise ValueError(f"{text!r} is not a time such as 10s or 1m30s")
    minutes, seconds = (float(part) if part else 0.0 for part in match.groups())
    return minutes * 60 + seconds


def moment_ticks(timeline: list[Moment], fps: int) -> list[int]:
    """The tick asked for by each entry of a timeline, in file order; KeyError for an `after` that is not earlier."""
    named: dict[str, int] = {}
    ticks: list[int] = []
    for moment in timeline:
        tick = 0
        if moment.tick is not None:
            tick = moment.tick
        elif moment.at is not None:
            tick = round(seconds_of(moment.at) * fps)
        elif moment.after is not None:
            tick = named[moment.after]
        tick += round(seconds_of(moment.delay) * fps) if moment.delay else 0
        ticks.append(tick)
        if moment.name is not None:
            named[moment.name] = tick
    return ticks
