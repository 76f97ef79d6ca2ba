"""Diorama's video autoencoder: four frames become one latent frame of 16 channels at an eighth of the size.

Both halves are plain convolutions with ReLU and no norm, in the manner of TAESD and TAEHV, because a CPU spends
its time on little operations. The encoder sees the four frames as channels; the decoder sees a latent
frame and the one before it, which is all the temporal memory it needs, so streaming is exact.
Only the decoder runs at play time.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig:
    """Sizes of the autoencoder. Every stage halves or doubles height and width."""

    latent_channels: int = 16
    frames_per_latent: int = 4
    encoder_widths: tuple[int, int, int] = (64, 128, 256)
    """channels at 1/2, 1/4 and 1/8 of the frame"""
    decoder_widths: tuple[int, int, int] = (256, 128, 64)
    """channels at 1/8, 1/4 and 1/2 of the frame"""
    encoder_layers: tuple[int, int, int] = (1, 2, 2)
    decoder_layers: tuple[int, int, int] = (2, 3, 3)
    upscale: int = 1
    """the decoder's output is this many times larger than the encoder's input"""

    def __post_init__(self) -> None:
        if self.upscale not in (1, 2):
            raise ValueError(f"upscale is 1 or 2, not {self.upscale}")


SHIPPED = AutoencoderConfig(upscale=2)
"""the one whose weights are in the package: pictures of 192 x 320 from latents of 96 x 160"""


class ResidualConv(nn.Module):
    """x + conv(relu(conv(relu(x)))), the second convolution starting at zero."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] -> the same."""
        change: Tensor = self.second(F.relu(self.first(F.relu(x))))
        return x + change


def _stack(width: int, layers: int) -> list[nn.Module]:
    return [ResidualConv(width) for _ in range(layers)]


class Encoder(nn.Module):
    """frames [B, 4 * 3, H, W] in 0..1 -> latent frame [B, C, H / 8, W / 8], zero mean and unit variance a channel."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        a, b, c = config.encoder_widths
        la, lb, lc = config.encoder_layers
        self.body = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(config.frames_per_latent * 12, a, 3, padding=1),
            *_stack(a, la),
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * a, b, 1),
            *_stack(b, lb),
            nn.PixelUnshuffle(2),
            nn.Conv2d(4 * b, c, 1),
            *_stack(c, lc),
            nn.ReLU(),
            nn.Conv2d(c, config.latent_channels, 3, padding=1),
        )
        # Statistics instead of a KL term: the latent has unit variance by construction.
        self.norm = nn.BatchNorm2d(config.latent_channels, affine=False, momentum=0.02)

    def forward(self, frames: Tensor) -> Tensor:
        """Encode; in training mode the batch's own statistics normalise, in evaluation mode the running ones."""
        latent: Tensor = self.norm(self.body(frames - 0.5).float())
        return latent


class Decoder(nn.Module):
    """(latent, the latent before it) -> frames [B, 4 * 3, H, W], nominally 0..1 and not clamped."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        a, b, c = config.decoder_widths
        la, lb, lc = config.decoder_layers
        pixels = 2 * config.upscale
        self.body = nn.Sequential(
            nn.Conv2d(2 * config.latent_channels, a, 3, padding=1),
            *_stack(a, la),
            nn.Conv2d(a, 4 * b, 1),
            nn.PixelShuffle(2),
            *_stack(b, lb),
            nn.Conv2d(b, 4 * c, 1),
            nn.PixelShuffle(2),
            *_stack(c, lc),
            nn.ReLU(),
            nn.Conv2d(c, config.frames_per_latent * 3 * pixels * pixels, 3, padding=1),
            nn.PixelShuffle(pixels),
        )

    def forward(self, latent: Tensor, previous: Tensor) -> Tensor:
        """Both [B, C, h, w]; `previous` is zeros for a take's first latent frame."""
        x = torch.cat([latent, previous], 1)
        # A generator's outliers must not become flashes; within three sigma this is nearly the identity.
        frames: Tensor = self.body(torch.tanh(x / 4) * 4) + 0.5
        return frames

    def open(self, batch: int = 1) -> "DecoderState":
        """State of a new take: no latent frame before the first."""
        return DecoderState(previous=None, batch=batch)

    def decode(self, latents: Tensor, state: "DecoderState") -> Tensor:
        """Next latent frames [B, F, C, h, w] -> frames [B, 4 * F, 3, H, W] float in 0..1; updates `state`.

        Example, the loop that drives it::

            state = decoder.open()
            for latents in blocks:
                show(decoder.decode(latents, state))
        """
        pictures: list[Tensor] = []
        for latent in latents.unbind(1):
            previous = torch.zeros_like(latent) if state.previous is None else state.previous
            frames = self(latent, previous).clamp(0, 1)
            pictures.append(frames.unflatten(1, (self.config.frames_per_latent, 3)))
            state.previous = latent
        return torch.cat(pictures, 1)


@dataclass(kw_only=True)
class DecoderState:
    """The decoder's memory of a take: the last latent frame, [B, C, h, w], or None before the first."""

    previous: Tensor | None
    batch: int = 1


class Autoencoder(nn.Module):
    """Encoder and decoder, for training and for writing latents."""

    def __init__(self, config: AutoencoderConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    def encode(self, frames: Tensor) -> Tensor:
        """frames [B, T, 3, H, W] in 0..1, T a multiple of 4 -> latents [B, T / 4, C, h, w]."""
        step = self.config.frames_per_latent
        if frames.shape[1] % step:
            raise ValueError(f"{frames.shape[1]} frames are not a multiple of {step}")
        batch = frames.shape[0]
        packed = frames.reshape(-1, step * 3, *frames.shape[-2:])
        latents: Tensor = self.encoder(packed)
        return latents.view(batch, -1, *latents.shape[1:])

    def decode_clip(self, latents: Tensor) -> Tensor:
        """latents [B, F, C, h, w] -> frames [B, 4 * F, 3, H, W], all at once; equal to streaming them."""
        previous = torch.cat([torch.zeros_like(latents[:, :1]), latents[:, :-1]], 1)
        frames: Tensor = self.decoder(latents.flatten(0, 1), previous.flatten(0, 1))
        return frames.reshape(latents.shape[0], -1, 3, *frames.shape[-2:])


def psnr_db(a: Tensor, b: Tensor) -> Tensor:
    """Peak signal-to-noise ratio of pictures in 0..1, dB, over all but the first dimension: [B]."""
    dims: Sequence[int] = range(1, a.ndim)
    return -10 * torch.log10(((a.clamp(0, 1) - b) ** 2).mean(tuple(dims)).clamp_min(1e-10))
