"""Drawn clips into latents, by the encoder that ships or one that a run has made."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from longtake.model.training.compute import half_precision, to_device
from longtake.model.training.data.latents import load_encoder


class ClipEncoder:
    """Encodes clips.

    Args:
        weights: a folder with `encoder.safetensors`, or an autoencoder's whole file.
        device: where to.

    Raises:
        CheckpointError: there is no encoder.
    """

    def __init__(self, weights: Path, device: torch.device) -> None:
        self.device = device
        self.model = load_encoder(weights)
        self.model.requires_grad_(False).to(device)

    @torch.inference_mode()
    def encode(self, clips: Sequence[NDArray[np.void]]) -> tuple[Tensor, Tensor]:
        """Encode clips as drawn.

        Returns:
            The latents, and the same frames each encoded as the first of a take: two of [n, F, C, h, w] float16.
        """
        pictures = to_device(torch.from_numpy(np.stack([clip["frames"] for clip in clips])), self.device)
        frames = pictures.permute(0, 1, 4, 2, 3).float() / 255
        step = self.model.config.frames_per_latent
        with half_precision(self.device):
            latents = self.model.encode(frames)
            starts = latents
            if self.model.config.frames_before:
                apart = frames.unflatten(1, (-1, step)).flatten(0, 1)
                starts = self.model.encode(apart).view_as(latents)
        return latents.to(torch.float16), starts.to(torch.float16)
