"""The messages of the Longtake protocol 1.0, as frozen typed objects; docs/protocol.md is the authority.

Every message is one MessagePack map whose `type` names it (the snake_case tag of the class). Pixels and
snapshots travel as a separate binary part after the header, never inside it. Times are seconds of the
sender's monotonic clock, durations milliseconds, world time ticks.
"""

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

VERSION_MAJOR = 1
VERSION_MINOR = 0

Role = Literal["director", "viewer"]
Mode = Literal["live", "lockstep", "offline"]
Delivery = Literal["latest", "every"]
Encoding = Literal["raw", "jpeg"]
Action = Literal["pause", "resume", "step", "advance", "reset", "close", "record_start", "record_stop"]

Name = Annotated[str, Meta(min_length=1, max_length=64, pattern=r"\A[A-Za-z0-9._-]+\Z")]
Text = Annotated[str, Meta(min_length=1, max_length=2000)]
Phrase = Annotated[str, Meta(max_length=300)]
Count = Annotated[int, Meta(ge=0, le=2**53)]
Seed = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Request = Annotated[int, Meta(ge=0, le=2**53)]


def _tag(name: str) -> str:
    return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=_tag):
    """Base of every message; unknown fields are ignored on decode."""


# --- what a world is made of -------------------------------------------------------------------------------


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """One named variable of the prompt state; a value's phrase is what the prompt says of it."""

    default: Phrase = ""
    values: dict[str, Phrase] = {}


class EventDef(msgspec.Struct, frozen=True, kw_only=True):
    """A named change of the slots, with the key that fires it and the label a client shows."""

    set: dict[str, str]
    key: Annotated[str, Meta(max_length=16)] = ""
    label: Annotated[str, Meta(max_length=64)] = ""


class Script(msgspec.Struct, frozen=True, kw_only=True):
    """The steerable part of a scenario: template, slots and events. Travels in `open` and in `joined`."""

    name: Name = "free"
    title: Annotated[str, Meta(max_length=120)] = ""
    template: Text | None = None
    slots: dict[str, Slot] = {}
    events: dict[str, EventDef] = {}


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
    """e.g. "reading" (the probe), "snapshot" """
    weights: str = ""
    """short hash of the weights"""
    device: str = ""
    precision: str = ""


# --- client to server, control socket ----------------------------------------------------------------------


class Hello(Message, frozen=True, kw_only=True):
    """First message of a client; the server answers `welcome` or an `error` with code `version`."""

    version: tuple[int, int] = (VERSION_MAJOR, VERSION_MINOR)
    client: Phrase = ""


class Open(Message, frozen=True, kw_only=True):
    """Open a world and join it as its director. `prompt` is the base text; None takes the script's template."""

    request: Request
    model: Name = "diorama"
    seed: Seed = 0
    prompt: Text | None = None
    script: Script = Script()
    mode: Mode = "live"
    paused: bool = False
    readings: bool = False
    """compute the probe's reading of every block (needs the model's capability "reading")"""


class Join(Message, frozen=True, kw_only=True):
    """Join a running world. An empty `world` means the only one, or the newest."""

    request: Request
    world: Annotated[str, Meta(max_length=64)] = ""
    role: Role = "viewer"


class Leave(Message, frozen=True, kw_only=True):
    """Leave a world; it goes on without the client."""

    request: Request
    world: Name


class Worlds(Message, frozen=True, kw_only=True):
    """Ask for the list of running worlds."""

    request: Request


class Prompt(Message, frozen=True, kw_only=True):
    """Replace the base text and clear the slots, from the first possible block or the one at or after `at_tick`."""

    request: Request
    world: Name
    text: Text
    at_tick: Count | None = None
    cut_in: bool = False


class Event(Message, frozen=True, kw_only=True):
    """Fire an event of the world's script."""

    request: Request
    world: Name
    name: Name
    at_tick: Count | None = None
    cut_in: bool = False


class Control(Message, frozen=True, kw_only=True):
    """Steer the loop. `ticks` for step (default one block) and advance (lockstep); `seed` for reset (None keeps it)."""

    request: Request
    world: Name
    action: Action
    ticks: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    seed: Seed | None = None
    path: Annotated[str, Meta(max_length=200)] | None = None
    """record_start: name of the take file, inside the server's take folder"""


class Displayed(Message, frozen=True, kw_only=True):
    """A client reports that the first frame under a cue has reached its screen."""

    world: Name
    cue: Count
    event_to_photon_ms: Annotated[float, Meta(ge=0, le=600_000)]


class Heartbeat(Message, frozen=True, kw_only=True):
    """Either way; the receiver sends it back with `reply` set."""

    sent: float
    reply: bool = False


class Goodbye(Message, frozen=True, kw_only=True):
    """The sender goes away; nothing is answered."""


# --- server to client, control socket ----------------------------------------------------------------------


class Welcome(Message, frozen=True, kw_only=True):
    """Answer to `hello`. The client connects its frame socket to `frames_port` and presents `session` there."""

    version: tuple[int, int]
    server: str
    session: str
    frames_endpoint: str
    """port number on the same host for tcp ("5571"), or a full endpoint for ipc and inproc"""
    models: list[ModelInfo]
    heartbeat_s: float
    limits: dict[str, int] = {}


class WorldEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One running world in a list."""

    world: str
    model: str
    script: str
    mode: Mode
    tick: int
    members: int


class WorldList(Message, frozen=True, kw_only=True):
    """Answer to `worlds`."""

    request: int
    worlds: list[WorldEntry]


class Applied(Message, frozen=True, kw_only=True):
    """To every member: a cue is in force from this block and tick on (a mark on the timeline)."""

    world: str
    generation: int
    cue: int
    block: int
    tick: int
    kind: Literal["prompt", "event", "start"]
    label: str
    """the event's name, or the typed text"""
    prompt: str
    """the rendered prompt"""
    recache_ms: float = 0.0


class Joined(Message, frozen=True, kw_only=True):
    """Answer to `open` and `join`: the whole state a client needs to begin."""

    request: int
    world: str
    role: Role
    model: ModelInfo
    script: Script
    mode: Mode
    seed: int
    generation: int
    tick: int
    block: int
    paused: bool
    prompt: str
    timeline: list[Applied] = []
    recording: str = ""


class Ack(Message, frozen=True, kw_only=True):
    """A cue is accepted and takes effect at `block`, whose first frame is `tick`; never dropped after this."""

    request: int
    world: str
    generation: int
    cue: int
    block: int
    tick: int
    prompt: str
    coalesced: int = 1
    """cues that share this recache so far"""


class Done(Message, frozen=True, kw_only=True):
    """Answer to `control` and `leave`, with the world's tick and generation after it took effect."""

    request: int
    world: str
    tick: int = 0
    generation: int = 0
    detail: str = ""


class Status(Message, frozen=True, kw_only=True):
    """To every member, twice a second and at every change of `paused`."""

    world: str
    generation: int
    tick: int
    block: int
    mode: Mode
    paused: bool
    fps: float
    """frames shown in the last second, held ones not counted"""
    lead: int
    """frames made but not shown"""
    lead_target: int
    shown: int
    held: int
    """deadlines at which the last frame was shown again (underruns)"""
    skipped: int
    """deadlines missed by the loop itself"""
    block_ms: float
    """median time to make a block"""
    recache_ms: float
    tick_jitter_ms: float
    event_to_photon_ms: float | None = None
    """median as reported by the world's clients"""
    members: int = 0
    recording: str = ""
    generator: Literal["ready", "starting", "lost"] = "ready"
    prompt: str = ""


class Reading(Message, frozen=True, kw_only=True):
    """What the model's probe reads in a block's frames: label and confidence for each kind."""

    world: str
    generation: int
    block: int
    tick: int
    labels: dict[str, str]
    confidence: dict[str, float]


class Notice(Message, frozen=True, kw_only=True):
    """Something happened to the world that its members should know."""

    world: str
    kind: Literal["closed", "reset", "generator_lost", "generator_back", "recording", "shutdown"]
    text: str = ""
    generation: int = 0
    tick: int = 0


class Error(Message, frozen=True, kw_only=True):
    """An answer instead of the expected one. `code` is stable, `message` says what to do."""

    code: str
    message: str
    retryable: bool = False
    request: int | None = None
    """number of the request it answers"""
    world: str | None = None
    """the world it is about, where it answers no request (`too_slow`)"""


# --- frame socket ------------------------------------------------------------------------------------------


class Subscribe(Message, frozen=True, kw_only=True):
    """Client to server: send a world's frames; answered by `subscribed`. Replaces an earlier one of that world."""

    request: Request
    session: Annotated[str, Meta(max_length=64)]
    world: Name
    delivery: Delivery = "latest"
    encoding: Encoding = "raw"
    credit: Annotated[int, Meta(ge=0, le=1024)] = 2


class Credit(Message, frozen=True, kw_only=True):
    """Client to server: that many more frames may be sent."""

    world: Name
    frames: Annotated[int, Meta(ge=1, le=1024)]


class Unsubscribe(Message, frozen=True, kw_only=True):
    """Client to server: send no more frames of a world."""

    world: Name


class Subscribed(Message, frozen=True, kw_only=True):
    """Server to client: answer to `subscribe`; every frame published from now on counts for it."""

    request: int
    world: str
    delivery: Delivery
    encoding: Encoding
    generation: int
    tick: int
    """the next frame's tick"""


class Frame(Message, frozen=True, kw_only=True):
    """Server to client: header of one frame; the second part is the picture (raw RGB rows or a JPEG file)."""

    world: str
    generation: int
    number: int
    """counts the frames published in this world, held ones included"""
    tick: int
    block: int
    cue: int
    """the last cue in force in this frame"""
    height: int
    width: int
    encoding: Encoding
    held: bool = False
    """the same picture as the tick before: the generator was late"""
    stale: bool = False
    """the generator is gone; this is its last picture"""
    published: float = 0.0


FromClient: TypeAlias = (
    Hello | Open | Join | Leave | Worlds | Prompt | Event | Control | Displayed | Heartbeat | Goodbye
)
FromClientFrames: TypeAlias = Subscribe | Credit | Unsubscribe
FromServer: TypeAlias = (
    Welcome | WorldList | Joined | Ack | Done | Applied | Status | Reading | Notice | Error | Heartbeat | Goodbye
)
FromServerFrames: TypeAlias = Subscribed | Frame | Error
