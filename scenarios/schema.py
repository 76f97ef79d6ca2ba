"""A scenario file as frozen typed objects: world, prompt template, slots, events, timeline, expectations.

A scenario is data. `loading.py` reads the YAML files, `runner.py` drives a world with one, and `Scenario.script`
is the part of it that travels to the server (see `longtake.protocol.messages.Script`).
"""

import re
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from longtake.protocol.messages import Count, CueKind, EventDef, Name, Phrase, Script, Seed, Slot, Text

TIME_PATTERN = r"^(?=.)(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?$"
PROBE_LABELS: dict[str, dict[str, tuple[str, ...]]] = {
    "diorama": {
        "place": ("meadow", "forest", "desert", "mountains", "city", "ocean"),
        "time": ("dawn", "day", "dusk", "night"),
        "weather": ("clear", "rain", "snow", "fog"),
        "actor": ("balloon", "bird", "plane", "train", "boat", "fox"),
        "colour": ("red", "orange", "yellow", "green", "blue", "purple", "white", "black"),
    },
}
"""labels that a model's probe knows, by model and kind: no other expected label could ever be met. A model that is not
here is checked when the scenario runs"""

TimeText = Annotated[str, Meta(pattern=TIME_PATTERN, max_length=20)]
"""short enough that its seconds are a finite number"""


class TimedCue(NamedTuple):
    """A cue of a timeline and its tick."""

    tick: int
    kind: CueKind
    text: str
    """the typed prompt, or the event's name"""
    name: str = ""
    labels: dict[str, str] | None = None
    """labels that the probe should read from here on, by kind"""
    amend: bool | None = None
    """for a prompt, as in `World.prompt`"""


class TimedInput(NamedTuple):
    """An input of a timeline and its tick."""

    tick: int
    axes: dict[str, float]
    """what to hold from here on, by axis"""


class _Strict(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base class. An unknown key is an error, because it is a misspelt one."""


class SlotSpec(_Strict, frozen=True, kw_only=True):
    """A variable of the prompt: its first value, and the phrase for each value."""

    default: Phrase = ""
    values: dict[str, Phrase] = {}


class EventSpec(_Strict, frozen=True, kw_only=True):
    """A named change of the slots; `key` is the keyboard key that fires it, `label` what the player shows."""

    set: dict[str, str]
    key: Annotated[str, Meta(max_length=16)] = ""
    label: Annotated[str, Meta(max_length=64)] = ""
    cut_in: bool = False
    """in a live world it does not wait for the frames that are already made, if it is fired by hand"""


class Moment(_Strict, frozen=True, kw_only=True):
    """One entry of the timeline: when (one of `at`, `tick`, `after`) and what (one of `prompt`, `event`, `input`).

    `after` names an earlier entry, and `delay` counts from it, so that a group of entries can be moved together.
    `input` holds axes of the model, such as `{speed: 1, lift: 0}`, until the next entry that names them.
    `labels` says what the probe should read after a free prompt; after an event, the slots' values say it.
    `amend` says whether a prompt changes a part of the one before or replaces it; left out, its wording decides.
    """

    at: TimeText | None = None
    tick: Count | None = None
    after: Name | None = None
    delay: TimeText | None = None
    prompt: Text | None = None
    event: Name | None = None
    input: dict[Name, float] | None = None
    name: Name | None = None
    labels: dict[str, str] = {}
    amend: bool | None = None


class Expectations(_Strict, frozen=True, kw_only=True):
    """What must hold after an automated run. What is left out is not checked."""

    fps_min: Annotated[float, Meta(gt=0)] | None = None
    """new frames shown in a second of wall time; live mode only"""
    held_max: Count | None = None
    """deadlines at which the last frame was shown again; live mode only"""
    latency_ms_max: Annotated[float, Meta(gt=0)] | None = None
    """median time from sending an event to receiving its first frame; live mode only"""
    adherence_min: dict[str, Annotated[float, Meta(ge=0, le=1)]] = {}
    """least share of settled blocks in which the probe reads what the scenario says, by kind"""


class Scenario(_Strict, frozen=True, kw_only=True):
    """A whole scenario file. `loading.load` checks that its parts fit together."""

    name: Name
    title: Annotated[str, Meta(max_length=120)] = ""
    description: str = ""
    model: Name = "diorama"
    seed: Seed = 0
    template: Text
    slots: dict[Name, SlotSpec] = {}
    events: dict[Name, EventSpec] = {}
    timeline: list[Moment] = []
    seconds: Annotated[float, Meta(gt=0, le=86_400)] = 60.0
    labels: dict[str, str] = {}
    """labels that the template implies, though no slot says them"""
    expect: Expectations = Expectations()

    def script(self) -> Script:
        """Return the steerable part, as it is sent to a server."""
        return Script(
            name=self.name,
            title=self.title,
            template=self.template,
            slots=[Slot(name=name, default=slot.default, values=slot.values) for name, slot in self.slots.items()],
            events={
                name: EventDef(set=event.set, key=event.key, label=event.label, cut_in=event.cut_in)
                for name, event in self.events.items()
            },
        )

    def cues(self, fps: int) -> list[TimedCue]:
        """Return the timeline in order of ticks, with the labels that hold from each cue on."""
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
                cues.append(
                    TimedCue(ticks[index], "prompt", moment.prompt, moment.name or "", labels, amend=moment.amend)
                )
        return cues

    def inputs(self, fps: int) -> list[TimedInput]:
        """Return the timeline's inputs in order of ticks; of two at one tick, the later in the file comes last."""
        ticks = moment_ticks(self.timeline, fps)
        timed = [
            TimedInput(tick, moment.input)
            for tick, moment in zip(ticks, self.timeline, strict=True)
            if moment.input is not None
        ]
        return sorted(timed, key=lambda each: each.tick)

    def first_labels(self) -> dict[str, str]:
        """Return the labels that the probe should read before the first cue."""
        return {name: slot.default for name, slot in self.slots.items()} | self.labels


def seconds_of(text: str) -> float:
    """Return the seconds in `10s`, `2.5s`, `3m` or `1m30s`. Raises ValueError for anything else."""
    match = re.match(TIME_PATTERN, text)
    if match is None:
        raise ValueError(f"{text!r} is not a time such as 10s or 1m30s")
    minutes, seconds = (float(part) if part else 0.0 for part in match.groups())
    return minutes * 60 + seconds


def moment_ticks(timeline: list[Moment], fps: int) -> list[int]:
    """Return the tick of each entry in file order. Raises KeyError if an `after` names no earlier entry."""
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
