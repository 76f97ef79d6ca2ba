"""A world model whose ground scrolls exactly as it is told, for the tests of the measures."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from longtake.model.diorama.actions import pace
from longtake.model.interface.world_model import Axis, Conditioning, ModelInfo

OWN_PACE = 1.5
"""units a frame"""
CAMERA = 4.0
BLOCK = 4


def texture(seed: int, height: int = 112, width: int = 1600) -> NDArray[np.float64]:
    """A smooth random pattern that repeats nowhere, 0..255."""
    noise = np.random.default_rng(seed).random((height, width))
    spectrum = np.fft.rfft2(noise)
    radius = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    smooth = np.fft.irfft2(spectrum * np.exp(-0.5 * (radius / 0.12) ** 2), s=(height, width))
    return 255 * (smooth - smooth.min()) / (smooth.max() - smooth.min())


def scrolled(seed: int, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Pictures of the pattern, moved left by x and down by y in each frame: [T, 96, 160, 3]."""
    whole = texture(seed)
    frames = []
    for left, down in zip(np.round(x).astype(int) + 400, 8 - np.round(y).astype(int), strict=True):
        frames.append(whole[down : down + 96, left : left + 160])
    return np.repeat(np.array(frames)[..., None], 3, -1).astype(np.uint8)


@dataclass
class Take:
    """A world of `Scroller`."""

    seed: int
    prompts: list[str]
    actions: tuple[float, ...] = ()
    x: float = 0.0
    y: float = 0.0
    made: int = 0


@dataclass(kw_only=True)
class Scroller:
    """Scrolls to the left; `fast` and `slow` in the prompt count, and so do the axes unless it is deaf."""

    deaf: bool = False
    juddering: bool = False
    """moves only from block to block"""
    axes: tuple[Axis, ...] = (Axis(name="lift"), Axis(name="speed"))
    worlds: list[Take] = field(default_factory=list)

    @property
    def info(self) -> ModelInfo:
        return ModelInfo(
            name="scroller", height=96, width=160, fps=16, block_frames=BLOCK, first_block_frames=BLOCK,
            window_blocks=8, axes=self.axes,
        )  # fmt: skip

    def open(self, *, seed: int, conditioning: Conditioning) -> Take:
        self.worlds.append(Take(seed, [conditioning.prompt], conditioning.actions))
        return self.worlds[-1]

    def cue(self, world: Any, conditioning: Conditioning) -> None:
        world.prompts.append(conditioning.prompt)
        world.actions = conditioning.actions

    def step(self, world: Any) -> Any:
        held = dict(zip([axis.name for axis in self.axes], world.actions, strict=False))
        speed, lift = (0.0 if self.deaf else held.get(name, 0.0) for name in ("speed", "lift"))
        prompt = world.prompts[-1]
        own = OWN_PACE * (5 / 3 if "fast" in prompt or "quickly" in prompt else 2 / 3 if "slowly" in prompt else 1)
        velocity = own * float(pace(np.array([speed]))[0])
        times = np.arange(1, BLOCK + 1)
        x = world.x + velocity * (np.full(BLOCK, BLOCK) if self.juddering else times)
        y = world.y + (CAMERA * lift - world.y) * np.minimum(1, 0.25 * times)
        world.x, world.y, world.made = float(x[-1]), float(y[-1]), world.made + 1
        return Made(frames=scrolled(world.seed, x, y)[None])

    def close(self, world: Any) -> None:
        world.actions = ()

    # Verbs that no measure asks for.

    def prepare(self, conditioning: Conditioning) -> None: ...

    def snapshot(self, world: Any, exact: bool = False) -> Any:
        raise NotImplementedError

    def restore(self, data: bytes) -> Any:
        raise NotImplementedError

    def read(self, frames: Any) -> Any:
        raise NotImplementedError


@dataclass(frozen=True)
class Made:
    """A block."""

    frames: NDArray[np.uint8]
