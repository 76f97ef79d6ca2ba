"""A bounded pool of encoded clips that training samples from and fresh clips replace the oldest of.

On a GPU the pool lives on the device. On a CPU it lies in a folder, mapped into memory: the ranks share it, and a
resumed run finds it filled.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longtake.model.training.compute import to_device
from longtake.model.training.files import write_whole

EMPTY: Final = -2
"""the switch of a slot without a clip"""


@dataclass(frozen=True, kw_only=True)
class PoolConfig:
    """Sizes of a pool."""

    clips: int
    latents: tuple[int, int, int, int]
    """F, C, h, w of a clip"""
    text: tuple[int, int, int]
    """wordings of each scene, tokens, width"""
    actions: int
    """axes"""

    def fields(self) -> dict[str, tuple[tuple[int, ...], np.dtype[Any]]]:
        """Shape and type of each field of all clips together."""
        frames, _, height, width = self.latents
        return {
            "latents": ((self.clips, *self.latents), np.dtype(np.float16)),
            "starts": ((self.clips, *self.latents), np.dtype(np.float16)),
            "cover": ((self.clips, frames, height, width), np.dtype(np.uint8)),
            "text": ((self.clips, 2, *self.text), np.dtype(np.float16)),
            "actions": ((self.clips, frames, self.actions), np.dtype(np.float32)),
        }


class LatentPool:
    """Slots of encoded clips; see the module.

    Attributes:
        latents: [N, F, C, h, w] float16.
        starts: the same frames, each encoded as the first of a take.
        cover: [N, F, h, w] uint8, the share of each cell that the actor covers times 255.
        text: [N, 2, wordings, L, text_dim] float16, of the scenes before and after the switch.
        actions: [N, F, axes] float32.
        switch: [N] int64, on the host: latent frame of the switch, -1 without one, -2 for an empty slot.
        new_place: [N] bool, on the host: whether the switch changes the place.

    Args:
        config: the sizes.
        device: where the tensors live.
        folder: where they lie instead, mapped, on the CPU; a pool of the same sizes that is there is gone on with.

    Raises:
        TrainingError: the folder cannot be written, or the device has no room.
    """

    def __init__(self, config: PoolConfig, device: torch.device, folder: Path | None = None) -> None:
        self.config, self.device = config, device
        fields = config.fields()
        if folder is None:
            arrays: dict[str, Tensor] = {
                name: torch.zeros(shape, dtype=_TORCH[dtype], device=device) for name, (shape, dtype) in fields.items()
            }
            self.switch: NDArray[np.int64] = np.full(config.clips, EMPTY, np.int64)
            self.new_place: NDArray[np.bool_] = np.zeros(config.clips, np.bool_)
        else:
            mapped = _mapped(config, folder)
            arrays = {name: torch.from_numpy(mapped[name]) for name in fields}
            self.switch, self.new_place = mapped["switch"], mapped["new_place"]
        self.latents, self.starts, self.cover = arrays["latents"], arrays["starts"], arrays["cover"]
        self.text, self.actions = arrays["text"], arrays["actions"]

    @property
    def filled(self) -> NDArray[np.int64]:
        """The slots that hold a clip."""
        return np.flatnonzero(self.switch != EMPTY)

    def put(self, slot: int, latents: Tensor, starts: Tensor, clip: Mapping[str, Any] | NDArray[np.void]) -> None:
        """Put a clip into a slot.

        Args:
            slot: which.
            latents: [F, C, h, w].
            starts: the same, see the class.
            clip: its other fields, as drawn (`DrawingConfig.record`).
        """
        self.switch[slot] = EMPTY  # another rank that looks now passes it over
        self.latents[slot].copy_(latents)
        self.starts[slot].copy_(starts)
        for name in ("cover", "text", "actions"):
            field: Tensor = getattr(self, name)
            field[slot].copy_(to_device(torch.from_numpy(np.ascontiguousarray(clip[name])), self.device))
        self.new_place[slot] = bool(clip["new_place"])
        self.switch[slot] = int(clip["switch"])


_TORCH: Final = {
    np.dtype(np.float16): torch.float16,
    np.dtype(np.float32): torch.float32,
    np.dtype(np.uint8): torch.uint8,
}


def _mapped(config: PoolConfig, folder: Path) -> dict[str, NDArray[Any]]:
    """Map a pool's files, made if they are not there; those of other sizes are replaced."""
    sizes = json.dumps(asdict(config))
    marker = folder / "pool.json"
    fields = config.fields() | {
        "switch": ((config.clips,), np.dtype(np.int64)),
        "new_place": ((config.clips,), np.dtype(np.bool_)),
    }
    paths = {name: folder / f"{name}.npy" for name in fields}
    if not marker.exists() or marker.read_text() != sizes or not all(path.exists() for path in paths.values()):
        marker.unlink(missing_ok=True)
        for name, (shape, dtype) in fields.items():
            filling = EMPTY if name == "switch" else 0
            write_whole(paths[name], partial(_allocate, shape=shape, dtype=dtype, filling=filling))
        write_whole(marker, lambda path: path.write_text(sizes))
    return {name: np.lib.format.open_memmap(path, mode="r+") for name, path in paths.items()}


def _allocate(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any], filling: int) -> None:
    """Write an array's file in full: a hole would end the run with SIGBUS once the disk is full."""
    with path.open("wb") as file:
        header = {"descr": np.lib.format.dtype_to_descr(dtype), "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        row = np.full(shape[1:], filling, dtype).tobytes()
        for _ in range(shape[0]):
            file.write(row)
