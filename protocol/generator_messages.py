"""The messages between the server and the generator process, in the style of the client protocol.

The server leads: the generator does what it is told, one command after another, and answers every command
with exactly one message of the same `world` and `generation` (or `gen_error`). A step whose frames are decoded beside
what comes next is announced by `gen_stepped` before that. Frames and snapshots follow the header as one binary part.
"""

from typing import TypeAlias

import msgspec

from longtake.protocol.messages import Message, ModelInfo


class GenReady(Message, frozen=True, kw_only=True):
    """Generator to server, once, when the models are loaded."""

    models: list[ModelInfo]
    pid: int
    threads: int


class GenOpen(Message, frozen=True, kw_only=True):
    """Open (or re-open under a new generation) a world; answered by `gen_done`."""

    world: str
    generation: int
    model: str
    seed: int
    prompt: str
    readings: bool = False


class GenEncode(Message, frozen=True, kw_only=True):
    """Encode and cache a prompt ahead of the step that uses it; not answered."""

    model: str
    prompt: str


class GenStep(Message, frozen=True, kw_only=True):
    """Make block `block` of a world; with `prompt`, recache under that prompt first. Answered by `gen_block`."""

    world: str
    generation: int
    block: int
    prompt: str | None = None


class GenSnapshot(Message, frozen=True, kw_only=True):
    """Answered by `gen_saved` with the snapshot as the binary part."""

    world: str
    generation: int
    exact: bool = False


class GenRestore(Message, frozen=True, kw_only=True):
    """Make a world from the snapshot in the binary part; answered by `gen_done`."""

    world: str
    generation: int
    model: str
    readings: bool = False


class GenClose(Message, frozen=True, kw_only=True):
    """Forget a world; answered by `gen_done`."""

    world: str
    generation: int


class GenStop(Message, frozen=True, kw_only=True):
    """End the process; answered by nothing."""


class GenPing(Message, frozen=True, kw_only=True):
    """Either way; sent back with `reply` set, by a thread that lives while a step runs."""

    sent: float
    reply: bool = False


class GenStepped(Message, frozen=True, kw_only=True):
    """A block is denoised and the generator free for its next command; `gen_block` follows, in the order of steps."""

    world: str
    generation: int
    block: int
    step_ms: float
    """the generator's time for it, without what a new prompt took"""


class GenBlock(Message, frozen=True, kw_only=True):
    """A block is made; the binary part is `[frames, height, width, 3] uint8 RGB`, C order."""

    world: str
    generation: int
    block: int
    first_tick: int
    frames: int
    height: int
    width: int
    digest: str
    """blake2b-128 of the binary part, hex"""
    timings_ms: dict[str, float]
    """by region: text, recache, denoise, clean, decode, total"""
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    confidence: dict[str, float] = msgspec.field(default_factory=dict)


class GenSaved(Message, frozen=True, kw_only=True):
    """A snapshot follows as the binary part."""

    world: str
    generation: int
    block: int
    exact: bool


class GenDone(Message, frozen=True, kw_only=True):
    """A command without a result of its own has been carried out."""

    world: str
    generation: int
    command: str


class GenError(Message, frozen=True, kw_only=True):
    """A command failed. `fatal` means the process must be replaced (a poisoned device)."""

    world: str
    generation: int
    code: str
    message: str
    fatal: bool = False


ToGenerator: TypeAlias = GenOpen | GenEncode | GenStep | GenSnapshot | GenRestore | GenClose | GenStop | GenPing
FromGenerator: TypeAlias = GenReady | GenStepped | GenBlock | GenSaved | GenDone | GenError | GenPing
