"""The verbs of a world model, as typed Protocols: what the runtime asks, and what a model answers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias, runtime_checkable

import numpy.typing as npt

World: TypeAlias = object
"""A world as its model sees it. The runtime never looks inside: it only hands it back to the model's verbs."""


@dataclass(frozen=True, kw_only=True)
class Conditioning:
    """Everything that a block is made under, as one value."""

    prompt: str
    actions: tuple[float, ...] = ()
    """the value of each axis, in the order of `ModelInfo.axes`; empty stands for all at rest (0)"""


@dataclass(frozen=True, kw_only=True)
class Axis:
    """A named input, such as one direction of a stick. At rest it is 0."""

    name: str
    low: float = -1.0
    high: float = 1.0
    button: bool = False
    """True if it is either 0 or 1"""

    @property
    def in_words(self) -> str:
        """Name and range, such as `speed -1 to 1`."""
        return f"{self.name} 0 or 1" if self.button else f"{self.name} {self.low:g} to {self.high:g}"


@dataclass(frozen=True, kw_only=True)
class ModelInfo:
    """What a loaded model is. Frames are `[height, width, 3] uint8 RGB`."""

    name: str
    height: int
    width: int
    fps: int
    block_frames: int
    """frames in every block but the first"""
    first_block_frames: int
    window_blocks: int
    """blocks that attention can see"""
    capabilities: tuple[str, ...] = ()
    """`snapshot`: worlds can be saved and restored. `reading`: `read` works. `actions`: there are `axes`.
    `late_recache`: the verbs of `LateRecacheModel` are there, and the runtime should use them."""
    axes: tuple[Axis, ...] = ()
    """what can be held while blocks are made"""
    weights: str = ""
    """first 16 hex digits of the weights' hash"""
    device: str = ""
    precision: str = ""
    knows: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """as in `ModelSpec.knows`"""


class Block(Protocol):
    """A block that has been denoised. Its frames may still be decoding."""

    @property
    def index(self) -> int:
        """Number of the block in its take, from 0."""
        ...

    @property
    def first_frame(self) -> int:
        """Tick of its first frame."""
        ...

    @property
    def overlaps(self) -> bool:
        """True if its frames are decoded while the next block is denoised.

        The runtime then asks for `frames` on another thread, and calls the next verb meanwhile.
        """
        ...

    @property
    def frames(self) -> npt.ArrayLike:
        """Pixels, `[1, n, H, W, 3] uint8 RGB`, in memory that numpy can read. Waits until they are decoded."""
        ...

    @property
    def step_ms(self) -> Mapping[str, float]:
        """Milliseconds by region, without the decoding. Waits for the denoising, not for the frames.

        What `settle` took counts in the next block's.
        """
        ...

    @property
    def timings_ms(self) -> Mapping[str, float]:
        """Milliseconds by region (text, recache, denoise, clean, decode). Waits for the frames."""
        ...


class Snapshot(Protocol):
    """A saved world. `WorldModel.restore` takes its bytes."""

    @property
    def block(self) -> int:
        """Number of the block that comes next."""
        ...

    def to_bytes(self) -> bytes:
        """Return everything that `WorldModel.restore` needs."""
        ...


@runtime_checkable
class WorldModel(Protocol):
    """The verbs of a world model.

    The runtime calls them one at a time, from one thread. Two exceptions: `prepare` may come from another thread
    at any time, and so may `read` if blocks overlap. A verb that cannot do what it is asked raises; the message
    reaches the user as one line.
    """

    @property
    def info(self) -> ModelInfo:
        """What this model is."""
        ...

    def open(self, *, seed: int, conditioning: Conditioning) -> World:
        """Start a take. The same seed and conditioning give the same frames."""
        ...

    def prepare(self, conditioning: Conditioning) -> None:
        """Do ahead of time what a coming `cue` will need, such as encoding its prompt. Changes no world."""
        ...

    def cue(self, world: World, conditioning: Conditioning) -> None:
        """Make the next blocks under `conditioning`. A new prompt costs a recache, new actions cost nothing.

        Return when it is done, on a device too: the runtime plans with the time it takes. Of several cues before a
        step only the last counts, bit for bit: in live worlds the runtime does not wait for the step.
        """
        ...

    def step(self, world: World) -> Block:
        """Make the next block."""
        ...

    def snapshot(self, world: World, exact: bool = False) -> Snapshot:
        """Save a world, its conditioning included; `exact` keeps cache and decoder state as well."""
        ...

    def restore(self, data: bytes) -> World:
        """Return a new world that goes on from a snapshot's bytes."""
        ...

    def close(self, world: World) -> None:
        """Free a world's memory. Closing twice is no error."""
        ...

    def read(self, frames: npt.ArrayLike) -> tuple[Mapping[str, str], Mapping[str, float]]:
        """Return what the probe sees in `[n, H, W, 3] uint8` frames: a label and its confidence for each kind."""
        ...


@runtime_checkable
class SettlingModel(Protocol):
    """A model whose steps leave work that the frames need not wait for. This verb is optional."""

    def settle(self, world: World) -> None:
        """Finish what the last step left; return when it is done, on a device too.

        The runtime calls it after each step, once the frames are on their way. A model's other verbs do not rely on
        that: they finish the work first where it has not been done.
        """
        ...


@runtime_checkable
class LateRecacheModel(Protocol):
    """A model that can show a new prompt in the next block and rebuild the window after it. Both verbs are optional.

    A cue that comes just before its block then need not wait for the block after. The verbs are used if the model's
    capabilities name `late_recache`.
    """

    def cue_late(self, world: World, conditioning: Conditioning) -> None:
        """As `WorldModel.cue`, but leave the window as it is until the next block is made."""
        ...

    def catch_up(self, world: World) -> None:
        """Rebuild the window after the first block of a late cue; return when it is done, on a device too.

        The runtime calls it when the block's frames are on their way. A model's other verbs do not rely on that.
        """
        ...


def settle(model: WorldModel, world: World) -> None:
    """Finish what a world's last step left, if its model leaves anything."""
    if isinstance(model, SettlingModel):
        model.settle(world)


VERBS = ("open", "prepare", "cue", "step", "snapshot", "restore", "close", "read")
"""the methods of `WorldModel`"""


def missing_verbs(candidate: object) -> list[str]:
    """Return what an object lacks to be a `WorldModel`: verbs, or `info`."""
    without_info = [] if hasattr(candidate, "info") else ["info"]
    return without_info + [verb for verb in VERBS if not callable(getattr(candidate, verb, None))]
