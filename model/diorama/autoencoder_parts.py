"""Sizes of diorama's autoencoder, and the layers its halves are made of."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F


@dataclass(frozen=True, kw_only=True)
class AutoencoderConfig:
    """Sizes of the autoencoder. Every stage halves or doubles height and width."""

    latent_channels: int = 16
    frames_per_latent: int = 4
    frames_before: int = 1
    """frames before the four that the encoder sees as well, 0 or 1; it then knows how they follow on each other"""
    encoder_widths: tuple[int, int, int] = (64, 128, 256)
    """channels at 1/2, 1/4 and 1/8 of the frame"""
    decoder_widths: tuple[int, int, int] = (256, 128, 64)
    """channels at 1/8, 1/4 and 1/2 of the frame"""
    encoder_layers: tuple[int, int, int] = (2, 2, 2)
    decoder_layers: tuple[int, int, int] = (2, 2, 2)
    upscale: int = 2
    """the decoder's output is this many times larger than the encoder's input"""

    def __post_init__(self) -> None:
        if self.upscale not in (1, 2):
            raise ValueError(f"upscale is 1 or 2, not {self.upscale}")
        if self.frames_before not in (0, 1):
            raise ValueError(f"frames_before is 0 or 1, not {self.frames_before}")


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


def stack(width: int, layers: int) -> list[nn.Module]:
    """Residual layers of one width."""
    return [ResidualConv(width) for _ in range(layers)]


def decoder_trunk(config: AutoencoderConfig) -> list[nn.Module]:
    """Layers from two latent frames [B, 2 * C, h, w] to features [B, c, 4 * h, 4 * w], ready for a last convolution."""
    a, b, c = config.decoder_widths
    la, lb, lc = config.decoder_layers
    return [
        nn.Conv2d(2 * config.latent_channels, a, 3, padding=1),
        *stack(a, la),
        nn.Conv2d(a, 4 * b, 1),
        nn.PixelShuffle(2),
        *stack(b, lb),
        nn.Conv2d(b, 4 * c, 1),
        nn.PixelShuffle(2),
        *stack(c, lc),
        nn.ReLU(),
    ]


def two_latents(latent: Tensor, previous: Tensor) -> Tensor:
    """A decoder's input, [B, C, h, w] twice -> [B, 2 * C, h, w].

    A generator's outliers must not become flashes; within three sigma this is nearly the identity.
    """
    return torch.tanh(torch.cat([latent, previous], 1) / 4) * 4
