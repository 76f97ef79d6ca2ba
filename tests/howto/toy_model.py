"""A world model in one file: a sky whose colour follows the prompt, with a sun that moves one pixel a frame."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np
import numpy.typing as npt

from longtake.model.interface import Conditioning, LoadRequest, ModelInfo, ModelSpec, Options, World, WorldModel

FRAMES = 4
"""frames of a block"""
HEIGHT, WIDTH = 24, 32


@dataclass(frozen=True, kw_only=True)
class ToyOptions(Options):
    """What `--option` sets."""

    sun: int = 6
    """pixels across"""


@dataclass(kw_only=True)
class ToyWorld:
    """One running take."""

    seed: int
    prompt: str
    block: int = 0

    def to_bytes(self) -> bytes:
        """Return the snapshot: there is no state but this."""
        return json.dumps(asdict(self)).encode()


@dataclass(frozen=True, kw_only=True)
class ToyBlock:
    """A block; its frames are there at once, so nothing overlaps."""

    index: int
    frames: npt.NDArray[np.uint8]
    overlaps: bool = False

    @property
    def first_frame(self) -> int:
        """Tick of its first frame."""
        return FRAMES * self.index

    @property
    def step_ms(self) -> Mapping[str, float]:
        """Nothing here is worth timing."""
        return {}

    @property
    def timings_ms(self) -> Mapping[str, float]:
        """As `step_ms`."""
        return {}


class ToyModel:
    """The verbs."""

    def __init__(self, request: LoadRequest) -> None:
        self.options = ToyOptions.parse(request.options)
        self.info = ModelInfo(
            name=request.name,
            height=HEIGHT,
            width=WIDTH,
            fps=16,
            block_frames=FRAMES,
            first_block_frames=FRAMES,
            window_blocks=1,
            capabilities=("snapshot",),
            weights="none",
            device="cpu",
            precision="uint8",
        )

    def open(self, *, seed: int, conditioning: Conditioning) -> ToyWorld:
        """Start a take."""
        return ToyWorld(seed=seed, prompt=conditioning.prompt)

    def prepare(self, conditioning: Conditioning) -> None:
        """A prompt needs no encoding here."""

    def cue(self, world: World, conditioning: Conditioning) -> None:
        """Make the next blocks under another prompt."""
        own(world).prompt = conditioning.prompt

    def step(self, world: World) -> ToyBlock:
        """Make the next block: the prompt's colour, and a white sun."""
        take = own(world)
        colour = np.frombuffer(hashlib.blake2b(take.prompt.encode(), digest_size=3).digest(), np.uint8)
        frames = np.broadcast_to(colour, (1, FRAMES, HEIGHT, WIDTH, 3)).copy()
        for index in range(FRAMES):
            left = (take.seed + FRAMES * take.block + index) % (WIDTH - self.options.sun)
            frames[0, index, : self.options.sun, left : left + self.options.sun] = 255
        made = ToyBlock(index=take.block, frames=frames)
        take.block += 1
        return made

    def snapshot(self, world: World, exact: bool = False) -> ToyWorld:
        """Save a world."""
        return replace(own(world))

    def restore(self, data: bytes) -> ToyWorld:
        """Return a world from a snapshot's bytes."""
        return ToyWorld(**json.loads(data))

    def close(self, world: World) -> None:
        """There is nothing to free."""

    def read(self, frames: npt.ArrayLike) -> tuple[Mapping[str, str], Mapping[str, float]]:
        """Refuse: the capability `reading` is not announced."""
        raise ValueError("the toy has no probe; open the world without readings")


def own(world: World) -> ToyWorld:
    """Return a world as this model's own."""
    if not isinstance(world, ToyWorld):
        raise TypeError(f"a {type(world).__name__} is not a world of this model")
    return world


def load(request: LoadRequest) -> WorldModel:
    """Load the model. mypy checks here that it has every verb."""
    return ToyModel(request)


SPEC = ModelSpec(name="toy", summary="a sky and a sun", load=load, options=ToyOptions, capabilities=("snapshot",))
