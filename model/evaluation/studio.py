"""Films takes for the measures: by a world model, by the renderer, and by the renderer through the autoencoder.

studio = Studio(model, read=lambda frames: model.read(frames)[0])
frames = studio.film("a red fox in the snow", seed=1, blocks=20)           # [80, H, W, 3] uint8
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from longtake.model.diorama.actions import AXES, Actions
from longtake.model.diorama.labels import FPS, HEIGHT, WIDTH
from longtake.model.diorama.renderer import render_clip
from longtake.model.diorama.scene import Scene, Switch
from longtake.model.interface.world_model import Conditioning, WorldModel

Pictures: TypeAlias = NDArray[np.uint8]
Read: TypeAlias = Callable[[Pictures], Mapping[str, str]]
"""frames [n, H, W, 3] uint8 -> a label for each kind"""
Through: TypeAlias = Callable[[Pictures], Pictures]
"""frames [T, H, W, 3] uint8 -> the same after the autoencoder"""


class Studio:
    """Where takes are filmed.

    Args:
        model: the world model.
        read: reads labels from frames; None if nothing can.
        through: the model's autoencoder; None if there is none.
    """

    def __init__(self, model: WorldModel, *, read: Read | None = None, through: Through | None = None) -> None:
        self.model, self.read, self.through = model, read, through
        info = model.info
        self.block_frames, self.fps = info.block_frames, info.fps
        scale, rest = divmod(info.height, HEIGHT)
        self.scale = scale if not rest and info.width == scale * WIDTH and info.fps == FPS else 0
        """pixels a unit of the renderer; 0 if it cannot draw pictures of this size and rate"""

    @property
    def abilities(self) -> dict[str, str]:
        """What a measure may need, and why it is missing; an empty reason means that it is here."""
        name, names = self.model.info.name, {axis.name for axis in self.model.info.axes}
        size = f"{self.model.info.width} x {self.model.info.height}"
        return {
            "reading": "" if self.read else f"{name} has no probe to read its pictures with",
            "drawing": "" if self.scale else f"the renderer does not draw pictures of {size} at {self.fps} fps",
            "actions": "" if names >= set(AXES) else f"{name} has no axes {' and '.join(AXES)} to be steered by",
        }

    def blocks_in(self, seconds: float) -> int:
        """Return how many blocks it takes to film so long, at least one."""
        return max(1, round(seconds * self.fps / self.block_frames))

    def blocks(
        self, prompt: str, seed: int, count: int, changes: Mapping[int, Conditioning] | None = None
    ) -> Iterator[Pictures]:
        """Yield the frames of each block, [n, H, W, 3] uint8; `changes` come into force before the block they name."""
        world = self.model.open(seed=seed, conditioning=Conditioning(prompt=prompt))
        try:
            for index in range(count):
                if changes and index in changes:
                    self.model.cue(world, changes[index])
                yield np.array(self.model.step(world).frames, dtype=np.uint8)[0]
        finally:
            self.model.close(world)

    def film(self, prompt: str, seed: int, blocks: int, changes: Mapping[int, Conditioning] | None = None) -> Pictures:
        """Return the frames of a take, [T, H, W, 3] uint8. Arguments as in `blocks`."""
        return np.concatenate(list(self.blocks(prompt, seed, blocks, changes)))

    def draw(
        self, scene: Scene, seed: int, blocks: int, *, switch: Switch | None = None, actions: Actions | None = None
    ) -> Pictures:
        """Return what the renderer draws, [T, H, W, 3] uint8."""
        return render_clip(scene, switch, blocks * self.block_frames, seed, self.scale, actions).frames

    def steered(self, prompt: str, actions: Actions) -> dict[int, Conditioning]:
        """Return the changes of a take that is steered: one row of `actions` a block, columns as in `AXES`."""
        order = [AXES.index(axis.name) if axis.name in AXES else None for axis in self.model.info.axes]
        start = Conditioning(prompt=prompt)
        changes: dict[int, Conditioning] = {}
        for block, row in enumerate(actions.tolist()):
            values = tuple(0.0 if column is None else float(row[column]) for column in order)
            if block == 0 or (actions[block] != actions[block - 1]).any():
                changes[block] = replace(start, actions=values)
        return changes
