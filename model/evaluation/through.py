"""Sends drawn pictures through diorama's autoencoder: what its generator could show at best."""

from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import avg_pool2d

from longtake.model.diorama.autoencoder import SHIPPED, Encoder
from longtake.model.diorama.autoencoder_parts import AutoencoderConfig
from longtake.model.evaluation.studio import Pictures, Through
from longtake.model.generation.world import Decoder
from longtake.model.weights import fill

ENCODER_FILE = "encoder.safetensors"


def load_through(folder: Path, decoder: Decoder, device: torch.device) -> Through:
    """Return what sends frames through the encoder in `folder` and a model's decoder.

    Raises:
        CheckpointError: the encoder is missing, truncated or of another autoencoder.
    """
    encoder = Encoder(SHIPPED)
    fill(encoder, folder / ENCODER_FILE)
    return through(encoder.eval().requires_grad_(False).to(device), decoder, SHIPPED)


def through(encoder: Encoder, decoder: Decoder, config: AutoencoderConfig) -> Through:
    """Return what sends frames [T, H, W, 3] uint8 through an encoder and a streaming decoder."""

    @torch.inference_mode()
    def send(frames: Pictures) -> Pictures:
        device = next(encoder.parameters()).device
        clip = torch.from_numpy(frames).to(device).permute(0, 3, 1, 2).float() / 255
        if config.upscale > 1:
            clip = avg_pool2d(clip, config.upscale)
        latents = encoder.encode(clip.unsqueeze(0))
        state = decoder.open(1)
        parts = [decoder.decode(latent.unsqueeze(1), state)[0] for latent in latents.unbind(1)]
        made = (torch.cat(parts).float().clamp(0, 1) * 255).round().to(torch.uint8)
        return np.ascontiguousarray(made.permute(0, 2, 3, 1).cpu().numpy())

    return send
