"""The decoder's residual layers for a CPU that computes in fp32: Winograd's convolution where there are many channels.

Measured on an Intel Xeon (AVX-512): a block is decoded in 50 instead of 59 ms. With 64 channels or fewer the
transforms take what the products save.
"""

import torch
from torch import Tensor, nn

from longtake.model.diorama.autoencoder_parts import ResidualConv
from longtake.model.diorama.moving_decoder import MovingDecoder
from longtake.model.ops.winograd import WinogradConv, in_tiles

FEWEST_CHANNELS = 128
MANY_TILES = 32
"""with so many tiles of 4 x 4, or more, a product of channels has rows enough"""


def quicken(decoder: MovingDecoder, latent_size: tuple[int, int]) -> None:
    """Replace residual layers of a decoder that is not trained any more, and computes in fp32 on a CPU.

    Args:
        decoder: in channels-last format.
        latent_size: height and width of its latents, which the layers' sizes follow from.
    """
    height, width = latent_size
    for place, layer in enumerate(decoder.body):
        if isinstance(layer, nn.PixelShuffle):
            height, width = height * layer.upscale_factor, width * layer.upscale_factor
        tile = _tile(height, width)
        if isinstance(layer, ResidualConv) and tile and layer.first.out_channels >= FEWEST_CHANNELS:
            decoder.body[place] = WinogradResidual(layer, tile)


def _tile(height: int, width: int) -> int:
    """Return the tile for pictures of this size; 0 if none divides it."""
    if height % 4 == 0 and width % 4 == 0 and height * width >= MANY_TILES * 16:
        return 4
    return 2 if height % 2 == 0 and width % 2 == 0 else 0


class WinogradResidual(nn.Module):
    """`ResidualConv`, for inference."""

    def __init__(self, layer: ResidualConv, tile: int) -> None:
        super().__init__()
        self._first, self._second = (
            WinogradConv(conv.weight, conv.bias, tile)  # type: ignore[arg-type]
            for conv in (layer.first, layer.second)
        )

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, h, w] channels-last -> the same."""
        pictures, tile = x.permute(0, 2, 3, 1), self._first.tile
        inner = _bordered_relu(self._first(_bordered_relu(in_tiles(pictures, tile))))
        made = in_tiles(pictures, tile) + self._second(inner)
        return made.reshape(pictures.shape).permute(0, 3, 1, 2)


def _bordered_relu(tiles: Tensor) -> Tensor:
    """[B, H / m, m, W / m, m, C] -> [B, H + 2, W + 2, C], not negative, with a border of zeros."""
    batch, rows, tile, columns, _, channels = tiles.shape
    padded = tiles.new_zeros(batch, rows * tile + 2, columns * tile + 2, channels)
    torch.clamp_min(tiles, 0, out=in_tiles(padded[:, 1:-1, 1:-1], tile))
    return padded
