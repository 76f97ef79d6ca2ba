"""The parts of messages: their base class, the types and limits of fields, and the maps inside them."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

VERSION_MAJOR = 1
VERSION_MINOR = 1

MAX_PROMPT = 2000
"""characters of a typed prompt on the wire, and of a rendered one"""
MAX_NUMBER = 2**53 - 1
"""the largest whole number of any field: the largest that every language holds exactly, JavaScript included"""

Role = Literal["director", "viewer"]
Mode = Literal["live", "lockstep", "offline"]
Delivery = Literal["latest", "every"]
Encoding = Literal["raw", "jpeg"]
CueKind = Literal["prompt", "event"]
MarkKind = Literal["prompt", "event", "start"]
Action = Literal["pause", "resume", "step", "advance", "reset", "close", "record_start", "record_stop"]

Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\A[A-Za-z0-9._-]+\Z")]
Text = Annotated[str, Meta(min_length=1, max_length=MAX_PROMPT)]
Phrase = Annotated[str, Meta(max_length=300)]
Count = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
Seed = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]
Request = Annotated[int, Meta(ge=0, le=MAX_NUMBER)]


def _tag(name: str) -> str:
    return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=_tag):
    """Base class of every message. Decoding ignores unknown fields."""


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """A named variable of the prompt. `values` maps each value to the phrase that the prompt uses for it."""

    name: Name
    default: Phrase = ""
    values: dict[str, Phrase] = {}


class EventDef(msgspec.Struct, frozen=True, kw_only=True):
    """A named change of slots, with the key that fires it and the label that clients show."""

    set: dict[str, str]
    key: Annotated[str, Meta(max_length=16)] = ""
    label: Annotated[str, Meta(max_length=64)] = ""
    cut_in: bool = False
    """as if every `event` that names it asked for it; without effect where that is not possible"""


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """The steerable part of a scenario: template, slots and events. Travels in `open` and in `joined`."""

    name: Name = "free"
    title: Annotated[str, Meta(max_length=120)] = ""
    template: Text | None = None
    slots: list[Slot] = []
    """in the order in which their phrases follow a typed prompt; an array, since the maps of many languages lose it"""
    events: dict[Name, EventDef] = {}


class Axis(msgspec.Struct, frozen=True, kw_only=True):
    """A named input of a model, such as one direction of a stick. At rest it is 0."""

    name: Name
    low: float = -1.0
    high: float = 1.0
    button: bool = False
    """True if it is either 0 or 1"""


class ModelInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What a generator announces of a model. Frames are `[height, width, 3] uint8 RGB`."""

    name: Name
    height: int
    width: int
    fps: int
    block_frames: int
    """frames (not latent frames) in every block but the first"""
    first_block_frames: int
    window_blocks: int
    capabilities: list[str] = []
    """such as "reading" (there is a probe), "snapshot", and "actions" (there are axes)"""
    axes: list[Axis] = []
    """what `input` can hold, with the capability "actions"; in the order of a conditioning's actions"""
    weights: str = ""
    """short hash of the weights"""
    device: str = ""
    precision: str = ""
    knows: dict[str, list[str]] = {}
    """all that the model can show, by kind, such as "place": ["meadow", ...]; empty if that is no closed list"""


class Understood(msgspec.Struct, frozen=True, kw_only=True):
    """What a model takes a prompt for. Models that can show anything have none."""

    labels: dict[str, str] = {}
    """what the prompt says, by kind, such as "actor": "train" """
    shown_as: str = ""
    """the same in words: "purple train, city, by day" """
    by_chance: list[str] = []
    """kinds of which the prompt says nothing, so that chance draws them"""
    unknown: list[str] = []
    """words of the prompt that the model does not know"""


class WorldEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A running world in `world_list`."""

    world: str
    model: str
    script: str
    mode: Mode
    tick: int
    members: int
