"""Drawn clips into latents, by the encoder that ships or one that a run has made."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import Tensor

from longtake.model.diorama.autoencoder import SHIPPED, Autoencoder
from longtake.model.errors import CheckpointError
from longtake.model.training.compute import half_precision, to_device


class ClipEncoder:
    """Encodes clips.

    Args:
        weights: a folder with `encoder.safetensors`, or an autoencoder's whole file.
        device: where to.

    Raises:
        CheckpointError: there is no encoder, or it is of another kind.
    """

    def __init__(self, weights: Path, device: torch.device) -> None:
        path = weights / "encoder.safetensors" if weights.is_dir() else weights
        if not path.exists():
            raise CheckpointError(f"there is no encoder at {path}; give a folder with encoder.safetensors")
        state = load_file(path)
        if not weights.is_dir():
            state = {k.removeprefix("encoder."): v for k, v in state.items() if k.startswith("encoder.")}
        self.device = device
        self.model = Autoencoder(SHIPPED).eval().requires_grad_(False)
        try:
            self.model.encoder.load_state_dict(state)
        except RuntimeError as error:
            reason = str(error).splitlines()[1].strip() if "\n" in str(error) else str(error)
            raise CheckpointError(f"{path} is no encoder of this version: {reason}") from error
        self.model.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]

    @torch.inference_mode()
    def encode(self, clips: Sequence[NDArray[np.void]]) -> Tensor:
        """Clips as drawn -> latents [n, F, C, h, w] float16 on the device."""
        frames = to_device(torch.from_numpy(np.stack([clip["frames"] for clip in clips])), self.device)
        with half_precision(self.device):
            made = self.model.encode(frames.permute(0, 1, 4, 2, 3).float() / 255)
        return made.to(torch.float16)
