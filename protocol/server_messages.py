"""What a server sends, first on the control socket, then on the frame socket; `Error` on both."""

from typing import Literal

import msgspec

from longtake.protocol.fields import (
    Delivery,
    Encoding,
    MarkKind,
    Message,
    Mode,
    ModelInfo,
    Role,
    Script,
    Understood,
    WorldEntry,
)


class Welcome(Message, frozen=True, kw_only=True):
    """Answer to `hello`. The client connects its frame socket to `frames_endpoint` and presents `session`."""

    version: tuple[int, int]
    server: str
    session: str
    frames_endpoint: str
    """port number on the same host for tcp ("5571"), or a full endpoint for ipc and inproc"""
    models: list[ModelInfo]
    heartbeat_s: float
    limits: dict[str, int] = msgspec.field(default_factory=dict)


class WorldList(Message, frozen=True, kw_only=True):
    """Answer to `worlds`."""

    request: int
    worlds: list[WorldEntry]


class Applied(Message, frozen=True, kw_only=True):
    """Tells every member that a cue is in force from this block and tick on. It is a mark on the timeline."""

    world: str
    generation: int
    cue: int
    block: int
    tick: int
    kind: MarkKind
    label: str
    """the event's name, or the typed text"""
    prompt: str
    """the rendered prompt"""
    recache_ms: float = 0.0
    understood: Understood | None = None
    """what the model takes the prompt for, if it can say so"""


class Joined(Message, frozen=True, kw_only=True):
    """Answer to `open` and `join`: all the state that a client needs to start."""

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
    timeline: list[Applied] = msgspec.field(default_factory=list)
    recording: str = ""


class Ack(Message, frozen=True, kw_only=True):
    """A cue is accepted. It takes effect at `block`, whose first frame is `tick`; only a reset or a close drops it."""

    request: int
    world: str
    generation: int
    cue: int
    block: int
    tick: int
    prompt: str
    coalesced: int = 1
    """cues that share this block so far, and one recache"""
    understood: Understood | None = None
    """as in `applied`"""


class InputAck(Message, frozen=True, kw_only=True):
    """An input is accepted. It is sampled for `block`, whose first frame is `tick`, unless a newer one replaces it."""

    request: int
    world: str
    generation: int
    block: int
    tick: int
    axes: dict[str, float]
    """all axes as they will be held there, going by the inputs known now"""


class Done(Message, frozen=True, kw_only=True):
    """Answer to `control` and `leave`, with the world's tick and generation afterwards."""

    request: int
    world: str
    tick: int = 0
    generation: int = 0
    detail: str = ""


class Status(Message, frozen=True, kw_only=True):
    """Sent to every member twice a second, and whenever `paused` changes."""

    world: str
    generation: int
    tick: int
    block: int
    mode: Mode
    paused: bool
    fps: float
    """new frames shown in the last second; held ones do not count"""
    lead: int
    """frames that are made and not yet shown"""
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
    """median of what the world's clients report of their cues"""
    input_to_photon_ms: float | None = None
    """the same of their inputs"""
    members: int = 0
    recording: str = ""
    generator: Literal["ready", "starting", "lost"] = "ready"
    prompt: str = ""
    axes: dict[str, float] = msgspec.field(default_factory=dict)
    """what is held now, by axis; empty for a model without axes"""
    waiting_for: list[str] = msgspec.field(default_factory=list)
    """names of the directors that must take frames before the world can go on"""


class Reading(Message, frozen=True, kw_only=True):
    """What the model's probe reads in a block: a label and its confidence for each kind."""

    world: str
    generation: int
    block: int
    tick: int
    labels: dict[str, str]
    confidence: dict[str, float]


class Notice(Message, frozen=True, kw_only=True):
    """Something happened that the members of the world should know; `models` goes to all clients, without a world."""

    world: str
    kind: Literal["closed", "reset", "generator_lost", "generator_back", "recording", "shutdown", "models"]
    text: str = ""
    generation: int = 0
    tick: int = 0


class Error(Message, frozen=True, kw_only=True):
    """The answer if a request fails. `code` is stable, and `message` says what to do."""

    code: str
    message: str
    retryable: bool = False
    request: int | None = None
    """number of the request it answers"""
    world: str | None = None
    """the world, if it answers no request (`too_slow`, `not_subscribed`)"""


# --- frame socket ------------------------------------------------------------------------------------------


class Subscribed(Message, frozen=True, kw_only=True):
    """Answer to `subscribe`: every frame published from now on is sent."""

    request: int
    world: str
    delivery: Delivery
    encoding: Encoding
    generation: int
    tick: int
    """the next frame's tick"""


class Frame(Message, frozen=True, kw_only=True):
    """Header of one frame. The second part of the message is the picture: raw RGB rows, or a JPEG file."""

    world: str
    generation: int
    number: int
    """counts the world's published frames, held ones included"""
    tick: int
    block: int
    cue: int
    """the last cue in force in this frame"""
    height: int
    width: int
    encoding: Encoding
    held: bool = False
    """True if the picture is the one before, because the generator was late"""
    stale: bool = False
    """True if the generator is gone and this is its last picture"""
    published: float = 0.0
