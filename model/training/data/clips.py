"""Writes rendered clips to disk and reads them back.

A folder of clips holds `frames_000.npy`, `frames_001.npy`, ... (`[n, T, H, W, 3] uint8`, at most about 1 GB each),
`boxes.npy` (`[N, T, 4] float32`, x0, y0, x1, y1 in pixels), `actions.npy` (`[N, ceil(T / 4), 2] float32`),
`velocity.npy` (`[N, T] float32`, the ground's scroll in units a frame), `labels.jsonl` (one line a clip: index, seed,
scene before, switch frame or -1, scene after) and, once everything is there, `done.json`. `make_clip` renders one clip
without a folder, for training that stores nothing. Write a folder with

    python -m longtake.model.training.data.clips --out DIR --clips N --frames 80 --seed S --workers 2 --scale 1
"""

import json
import logging
import math
import multiprocessing
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from longtake.model.command_line import Parser
from longtake.model.diorama.actions import ACTION_FRAMES, AXES, Actions, action_steps, random_actions
from longtake.model.diorama.labels import FPS, HEIGHT, WIDTH
from longtake.model.diorama.renderer import Clip, render_clip
from longtake.model.diorama.scene import Scene, Switch, balanced_scene, random_change
from longtake.model.errors import ConfigError, TrainingError
from longtake.model.training.ending import carry_out
from longtake.model.whole_file import write_whole

log = logging.getLogger(__name__)

SWITCH_ODDS: Final = 0.7
SWITCH_LEAD: Final = 12
"""Frames a scene holds, at least, before a switch."""
SWITCH_TAIL: Final = 24
"""Frames left, at least, after a switch."""
SWITCH_STEP: Final = ACTION_FRAMES
"""Switches fall on multiples of this: the frames of one latent frame."""
_SHARD_BYTES: Final = 1_000_000_000
_DONE, _LABELS = "done.json", "labels.jsonl"
_BOXES, _ACTIONS, _VELOCITY = "boxes.npy", "actions.npy", "velocity.npy"


@dataclass(frozen=True, kw_only=True)
class ClipsConfig:
    """What to write."""

    clips: int
    frames: int = 80
    """Frames a clip, 80 being five seconds."""
    seed: int = 1
    scale: int = 1
    """Pixels a unit: 1 draws 96 x 160."""

    def __post_init__(self) -> None:
        if self.clips < 1 or self.scale < 1:
            raise ConfigError(f"clips and scale must be 1 or more, got {self.clips} and {self.scale}")
        if self.frames < SWITCH_LEAD + SWITCH_TAIL:
            raise ConfigError(f"a clip needs {SWITCH_LEAD + SWITCH_TAIL} frames to fit a switch, got {self.frames}")

    @property
    def clip_shape(self) -> tuple[int, int, int, int]:
        """T, H, W, 3."""
        return self.frames, HEIGHT * self.scale, WIDTH * self.scale, 3

    @property
    def shard_clips(self) -> int:
        """Clips in a full shard."""
        return max(1, _SHARD_BYTES // math.prod(self.clip_shape))


@dataclass(frozen=True, kw_only=True)
class Plan:
    """One clip to render."""

    index: int
    seed: int
    scene: Scene
    switch: Switch | None
    actions: Actions

    def labels(self) -> dict[str, Any]:
        """The clip's line in the labels file; a clip without a switch has frame -1 and the same scene twice."""
        after = self.switch.scene if self.switch else self.scene
        return {
            "index": self.index,
            "seed": self.seed,
            "scene": self.scene.labels(),
            "switch": self.switch.frame if self.switch else -1,
            "after": after.labels(),
        }


def plan(config: ClipsConfig, index: int) -> Plan:
    """What clip `index` shows; depends on the seed and the index alone."""
    rng = np.random.default_rng([config.seed, 2, index])
    scene = balanced_scene(config.seed, index)
    switch = None
    if rng.random() < SWITCH_ODDS:
        frame = int(rng.integers(SWITCH_LEAD // SWITCH_STEP, (config.frames - SWITCH_TAIL) // SWITCH_STEP + 1))
        switch = Switch(frame=frame * SWITCH_STEP, scene=random_change(scene, rng))
    actions = random_actions(np.random.default_rng([config.seed, 3, index]), action_steps(config.frames))
    return Plan(index=index, seed=int(rng.integers(2**31)), scene=scene, switch=switch, actions=actions)


def make_clip(config: ClipsConfig, index: int) -> tuple[Plan, Clip]:
    """Plan and render clip `index`, without writing it anywhere; depends on the seed and the index alone."""
    todo = plan(config, index)
    return todo, render_clip(todo.scene, todo.switch, config.frames, todo.seed, config.scale, todo.actions)


def shard_path(folder: Path, shard: int) -> Path:
    """Where a shard of frames lies."""
    return folder / f"frames_{shard:03d}.npy"


@dataclass(frozen=True, kw_only=True)
class _Rendered:
    """What a worker sends back of a clip; the frames it has written itself."""

    index: int
    boxes: NDArray[np.float32]
    actions: Actions
    velocity: NDArray[np.float32]


def _render_one(index: int, folder: Path, config: ClipsConfig) -> _Rendered:
    """Render a clip into its shard, in a worker."""
    _, clip = make_clip(config, index)
    shard, position = divmod(index, config.shard_clips)
    frames = np.load(shard_path(folder, shard), mmap_mode="r+")
    frames[position] = clip.frames
    return _Rendered(index=index, boxes=clip.boxes, actions=clip.actions, velocity=clip.velocity)


def write_clips(folder: Path, config: ClipsConfig, workers: int = 1) -> None:
    """Write a folder of clips; it counts as finished only once its marker is there.

    Raises:
        TrainingError: the folder holds finished clips already.
    """
    if (folder / _DONE).exists():
        raise TrainingError(f"{folder} holds finished clips; choose another folder or remove it")
    folder.mkdir(parents=True, exist_ok=True)
    for shard, first in enumerate(range(0, config.clips, config.shard_clips)):
        count = min(config.shard_clips, config.clips - first)
        path = shard_path(folder, shard)
        np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(count, *config.clip_shape))
    boxes = np.zeros((config.clips, config.frames, 4), np.float32)
    actions = np.zeros((config.clips, action_steps(config.frames), len(AXES)), np.float32)
    velocity = np.zeros((config.clips, config.frames), np.float32)
    for done, clip in enumerate(_rendered(folder, config, workers), start=1):
        boxes[clip.index], actions[clip.index], velocity[clip.index] = clip.boxes, clip.actions, clip.velocity
        if done % 100 == 0 or done == config.clips:
            log.info("%d of %d clips", done, config.clips)
    for name, array in ((_BOXES, boxes), (_ACTIONS, actions), (_VELOCITY, velocity)):
        write_whole(folder / name, partial(_save, array=array))
    lines = (json.dumps(plan(config, index).labels()) for index in range(config.clips))
    labels = "\n".join(lines) + "\n"
    write_whole(folder / _LABELS, lambda path: path.write_text(labels))
    about = json.dumps({**asdict(config), "fps": FPS, "shape": [config.clips, *config.clip_shape]})
    write_whole(folder / _DONE, lambda path: path.write_text(about))


def _save(path: Path, array: NDArray[np.float32]) -> None:
    with path.open("wb") as file:  # np.save gives a path of its own the ending .npy
        np.save(file, array)


def _rendered(folder: Path, config: ClipsConfig, workers: int) -> Iterator[_Rendered]:
    work = partial(_render_one, folder=folder, config=config)
    if workers <= 1:
        yield from map(work, range(config.clips))
        return
    with multiprocessing.get_context("spawn").Pool(workers) as pool:
        yield from pool.imap_unordered(work, range(config.clips), chunksize=8)


class Frames:
    """The frames of all shards as one array `[N, T, H, W, 3] uint8`; `frames[i]` is a memory map `[T, H, W, 3]`.

    Index it as `frames[clip]`, `frames[clip, start:stop]` and so on; the first index must be a whole number.
    """

    def __init__(self, shards: list[NDArray[np.uint8]]) -> None:
        self._shards = shards
        self._size = len(shards[0])
        self.shape: tuple[int, ...] = (sum(len(shard) for shard in shards), *shards[0].shape[1:])
        self.dtype = shards[0].dtype

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> NDArray[np.uint8]:
        clip, *rest = key if isinstance(key, tuple) else (key,)
        index = int(clip) + (len(self) if clip < 0 else 0)
        if not 0 <= index < len(self):
            raise IndexError(f"clip {clip} of {len(self)}")
        shard, position = divmod(index, self._size)
        frames: NDArray[np.uint8] = self._shards[shard][(position, *rest)]
        return frames


class Clips:
    """A finished folder of clips, its frames mapped and not loaded.

    Attributes: `frames` (see `Frames`), `boxes` `[N, T, 4] float32`, `actions` `[N, ceil(T / 4), 2] float32`,
    `velocity` `[N, T] float32`, and a clip each in the lists `scenes`, `switches` (None without one) and `seeds`.

    Raises:
        TrainingError: the folder has no finish marker, or was written before clips had actions, or is damaged.
    """

    def __init__(self, folder: str | Path) -> None:
        folder = Path(folder)
        if not (folder / _DONE).exists():
            raise TrainingError(f"{folder} holds no finished clips; write them with `longtake train clips`")
        if not (folder / _ACTIONS).exists():
            raise TrainingError(f"{folder} was written before clips had actions; render it again")
        try:
            self._read(folder)
        except (OSError, EOFError, ValueError, LookupError, TypeError) as error:
            raise TrainingError(f"{folder} is damaged; render it again ({error})") from error

    def _read(self, folder: Path) -> None:
        done = json.loads((folder / _DONE).read_text())
        self.fps: int = done["fps"]
        self.scale: int = done["scale"]
        self.frames = Frames([np.load(path, mmap_mode="r") for path in sorted(folder.glob("frames_*.npy"))])
        if list(self.frames.shape) != done["shape"]:
            raise ValueError(f"it holds frames {list(self.frames.shape)} but was written as {done['shape']}")
        self.boxes: NDArray[np.float32] = np.load(folder / _BOXES)
        self.actions: Actions = np.load(folder / _ACTIONS)
        self.velocity: NDArray[np.float32] = np.load(folder / _VELOCITY)
        rows = [json.loads(line) for line in (folder / _LABELS).read_text().removesuffix("\n").split("\n")]
        self.seeds: list[int] = [row["seed"] for row in rows]
        self.scenes = [Scene.from_labels(row["scene"]) for row in rows]
        self.switches = [
            Switch(frame=row["switch"], scene=Scene.from_labels(row["after"])) if row["switch"] >= 0 else None
            for row in rows
        ]

    def __len__(self) -> int:
        return len(self.frames)

    def scene_at(self, clip: int, frame: int) -> Scene:
        """The scene that a frame shows or is turning to."""
        switch = self.switches[clip]
        return switch.scene if switch is not None and frame >= switch.frame else self.scenes[clip]


def main() -> None:
    """The command line."""
    parser = Parser(prog="longtake train clips", description="Render clips of the diorama world into a folder.")
    parser.add_argument("--out", type=Path, required=True, help="folder to write")
    parser.add_argument("--clips", type=int, required=True, help="how many clips")
    parser.add_argument("--frames", type=int, default=ClipsConfig.frames, help="frames a clip")
    parser.add_argument("--seed", type=int, default=ClipsConfig.seed)
    parser.add_argument("--scale", type=int, default=ClipsConfig.scale, help="pixels a unit; 1 draws 96 x 160")
    parser.add_argument("--workers", type=int, default=2, help="processes that render")
    options = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = ClipsConfig(clips=options.clips, frames=options.frames, seed=options.seed, scale=options.scale)
    write_clips(options.out, config, options.workers)


if __name__ == "__main__":
    carry_out(main)
