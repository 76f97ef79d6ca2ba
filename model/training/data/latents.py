"""From pictures to latents: the encoder that ships or one that a run has made, and where the actor is in its cells."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from longtake.model.diorama.autoencoder import SHIPPED, Encoder
from longtake.model.errors import CheckpointError
from longtake.model.weights import read


def box_cover(boxes: NDArray[np.floating], height: int, width: int, cell: int = 8) -> NDArray[np.float32]:
    """Actor boxes [4, 4] (x0, y0, x1, y1, pixels) of a latent's frames -> the cells' mean cover [h, w]."""
    cover = np.zeros((len(boxes), height, width), np.float32)
    for t, (x0, y0, x1, y1) in enumerate(boxes / cell):
        rows = np.clip(np.minimum(np.arange(height) + 1, y1) - np.maximum(np.arange(height), y0), 0, 1)
        columns = np.clip(np.minimum(np.arange(width) + 1, x1) - np.maximum(np.arange(width), x0), 0, 1)
        cover[t] = rows[:, None] * columns[None]
    mean: NDArray[np.float32] = cover.mean(0)
    return mean


def load_encoder(path: Path) -> Encoder:
    """Load an encoder from a run's weights (the whole autoencoder's), or from a folder or file of the encoder alone.

    Raises:
        CheckpointError: there is no such file, or it holds no encoder.
    """
    file = path / "encoder.safetensors" if path.is_dir() else path
    if not file.exists():
        raise CheckpointError(f"{file} does not exist; give a run's ema.safetensors or a folder with the encoder")
    state = read(file)
    own = {
        name.removeprefix("encoder."): value for name, value in state.items() if name.startswith("encoder.")
    } or state
    encoder = Encoder(SHIPPED)
    wanted = encoder.state_dict()
    if {name: value.shape for name, value in own.items()} != {name: value.shape for name, value in wanted.items()}:
        raise CheckpointError(
            f"{file} holds no encoder; give a run's ema.safetensors or a folder with encoder.safetensors"
        )
    # What ships is in bf16, but statistics are better kept in full.
    encoder.load_state_dict({name: value.to(wanted[name].dtype) for name, value in own.items()})
    return encoder.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]
