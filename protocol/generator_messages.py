"""The messages between the server and the generator process, in the style of the client protocol.

The server gives commands. The generator carries them out one after another, and answers each with exactly one message
of the same `world` and `generation`, or with `gen_error`. If a step's frames are decoded while the next step runs,
`gen_stepped` comes first and `gen_block` follows. Frames and snapshots travel as one binary part after the header.
"""

from typing import TypeAlias

import msgspec

from longtake.protocol.messages import Message, ModelInfo


class GenReady(Message, frozen=True, kw_only=True):
    """Sent by the generator once, when the models are loaded."""

    models: list[ModelInfo]
    pid: int
    threads: int


class GenOpen(Message, frozen=True, kw_only=True):
    """Open a world, or open it again under a new generation; answered by `gen_done`."""

    world: str
    generation: int
    model: str
    seed: int
    prompt: str
    actions: tuple[float, ...] = ()
    readings: bool = False


class GenEncode(Message, frozen=True, kw_only=True):
    """Prepare a conditioning ahead of the step that uses it; not answered."""

    model: str
    prompt: str
    actions: tuple[float, ...] = ()


class GenStep(Message, frozen=True, kw_only=True):
    """Make block `block` of a world, under a new conditioning if it carries one; answered by `gen_block`."""

    world: str
    generation: int
    block: int
    prompt: str | None = None
    actions: tuple[float, ...] = ()
    via: str | None = None
    late: bool = False


class GenCue(Message, frozen=True, kw_only=True):
    """Bring a world under a conditioning ahead of the step that carries it; answered by `gen_cued`.

    Another one may follow before the step.
    """

    world: str
    generation: int
    block: int
    """the block that will be made under it"""
    prompt: str
    actions: tuple[float, ...] = ()


class GenSnapshot(Message, frozen=True, kw_only=True):
    """Save a world; answered by `gen_saved` with the snapshot as the binary part."""

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
    """End the process; not answered."""


class GenPing(Message, frozen=True, kw_only=True):
    """Sent both ways, and sent back with `reply` set. It is answered while a step runs."""

    sent: float
    reply: bool = False


class GenStepped(Message, frozen=True, kw_only=True):
    """The generator is free for its next command. The block's frames may have left before, or still be decoding."""

    world: str
    generation: int
    block: int
    step_ms: float
    """the whole time that the generator was taken up, without the cost of a new prompt"""
    recache_ms: float = 0.0
    """what a new prompt cost after the block"""


class GenCued(Message, frozen=True, kw_only=True):
    """A world is under a new conditioning."""

    world: str
    generation: int
    block: int
    recache_ms: float
    """what the new prompt cost, its text included"""


class GenBlock(Message, frozen=True, kw_only=True):
    """A block is made. The binary part is `[frames, height, width, 3] uint8 RGB`, C order."""

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
    """by region: text, recache, denoise, clean, decode, total; `ahead` is the part of recache before the step"""
    labels: dict[str, str] = msgspec.field(default_factory=dict)
    confidence: dict[str, float] = msgspec.field(default_factory=dict)
    stepped: bool = False
    """a `gen_stepped` is sent too, before this or after it: the generator is free only then"""


class GenSaved(Message, frozen=True, kw_only=True):
    """A world is saved. The snapshot is the binary part."""

    world: str
    generation: int
    block: int
    exact: bool


class GenDone(Message, frozen=True, kw_only=True):
    """A command that has no result of its own has been carried out."""

    world: str
    generation: int
    command: str


class GenError(Message, frozen=True, kw_only=True):
    """A command failed. If it is `fatal`, the process has to be replaced: the device no longer works."""

    world: str
    generation: int
    code: str
    message: str
    fatal: bool = False


ToGenerator: TypeAlias = (
    GenOpen | GenEncode | GenCue | GenStep | GenSnapshot | GenRestore | GenClose | GenStop | GenPing
)
FromGenerator: TypeAlias = GenReady | GenCued | GenStepped | GenBlock | GenSaved | GenDone | GenError | GenPing
