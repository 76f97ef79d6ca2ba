"""Diorama's video autoencoder: four frames become one latent frame of 16 channels at an eighth of the size.

Both halves are plain convolutions with ReLU and no norm, in the manner of TAESD and TAEHV, because a CPU spends
its time on little operations. The encoder sees the four frames, and the one before them, as channels. The decoder
(`MovingDecoder`) sees a latent frame and the one before it, and keeps its last picture, so streaming is exact.
Only the decoder runs at play time.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from longtake.model.diorama.autoencoder_parts import AutoencoderConfig, stack
from longtake.model.diorama.moving_decoder import MovingDecoder

SHIPPED = AutoencoderConfig()
"""the one whose weights are in the package: pictures of 192 x 320 from latents of 96 x 160"""


class Encoder(nn.Module):
    """frames [B, n * 3, H, W] in 0..1 -> latent frame [B, C, H / 8, W / 8], zero mean and unit variance a channel.

    n is 4, with `frames_before` more ahead of them.
    """

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        a, b, c = config.encoder_widths
        la, lb, lc = config.encoder_layers
        self.body = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d((config.frames_before + config.frames_per_latent) * 12, a, 3, padding=1),
            *stack(a, la),
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * a, b, 1),
            *stack(b, lb),
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * b, c, 1),
            *stack(c, lc),
            nn.ReLU(),
            nn.Conv2d(c, config.latent_channels, 3, padding=1),
        )
        # Statistics instead of a KL term: the latent has unit variance by construction.
        self.norm = nn.BatchNorm2d(config.latent_channels, affine=False, momentum=0.02)

    def forward(self, frames: Tensor) -> Tensor:
        """Encode; in training mode the batch's own statistics normalise, in evaluation mode the running ones."""
        latent: Tensor = self.norm(self.body(frames - 0.5).float())
        return latent

    def encode(self, frames: Tensor, before: Tensor | None = None) -> Tensor:
        """frames [B, T, 3, H, W] in 0..1, T a multiple of 4 -> latents [B, T / 4, C, h, w].

        Args:
            frames: consecutive ones.
            before: the frame before them, [B, 1, 3, H, W]; None if they begin the take.
        """
        step = self.config.frames_per_latent
        if frames.shape[1] % step:
            raise ValueError(f"{frames.shape[1]} frames are not a multiple of {step}")
        packed = frames.unflatten(1, (-1, step))
        if self.config.frames_before:
            # A take begins after grey, which is zero to the encoder.
            first = torch.full_like(frames[:, :1], 0.5) if before is None else before
            last = torch.cat([first, frames[:, step - 1 : -1 : step]], 1)
            packed = torch.cat([last.unsqueeze(2), packed], 2)
        latents: Tensor = self(packed.flatten(2, 3).flatten(0, 1))
        return latents.view(frames.shape[0], -1, *latents.shape[1:])


class Autoencoder(nn.Module):
    """Encoder and decoder, for training and for writing latents."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = MovingDecoder(config)

    def encode(self, frames: Tensor, before: Tensor | None = None) -> Tensor:
        """As `Encoder.encode`."""
        return self.encoder.encode(frames, before)

    def decode_clip(self, latents: Tensor) -> Tensor:
        """latents [B, F, C, h, w] -> frames [B, 4 * F, 3, H, W], all at once; equal to streaming them."""
        return self.decoder.decode_clip(latents)

    def decode_with_lean(self, latents: Tensor) -> tuple[Tensor, Tensor]:
        """As `MovingDecoder.decode_with_lean`."""
        return self.decoder.decode_with_lean(latents)


def psnr_db(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of pictures in 0..1, dB, over all but the first dimension: [B]."""
    dims: Sequence[int] = range(1, a.ndim)
    return -10 * torch.log10(((a.clamp(0, 1) - b) ** 2).mean(tuple(dims)).clamp_min(1e-10))
