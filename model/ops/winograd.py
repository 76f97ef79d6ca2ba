"""Winograd's convolution: 3 x 3 filters in fewer multiplications, for inference in fp32 on a CPU.

A tile of m x m outputs is computed from (m + 2) x (m + 2) inputs. Both are transformed, so that the filter becomes one
product of channels for each of the (m + 2)^2 transformed places: 16 products instead of 36 for m = 2, and 36 instead of
144 for m = 4 (Lavin and Gray, arXiv:1509.09308). The transforms read and write activations more often, so it pays only
with many channels. Sums are rounded in another order: about 1e-5 of the outputs' size for m = 2, 5e-5 for m = 4.
"""

from typing import Final, NamedTuple

import torch
from torch import Tensor


class _Transforms(NamedTuple):
    """One-dimensional transforms of a tile."""

    inputs: tuple[tuple[float, ...], ...]
    filters: tuple[tuple[float, ...], ...]
    outputs: tuple[tuple[float, ...], ...]


_TRANSFORMS: Final = {
    2: _Transforms(
        ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
        ((1, 0, 0), (1 / 2, 1 / 2, 1 / 2), (1 / 2, -1 / 2, 1 / 2), (0, 0, 1)),
        ((1, 1, 1, 0), (0, 1, -1, -1)),
    ),
    4: _Transforms(
        (
            (4, 0, -5, 0, 1, 0),
            (0, -4, -4, 1, 1, 0),
            (0, 4, -4, -1, 1, 0),
            (0, -2, -1, 2, 1, 0),
            (0, 2, -1, -2, 1, 0),
            (0, 4, 0, -5, 0, 1),
        ),
        (
            (1 / 4, 0, 0),
            (-1 / 6, -1 / 6, -1 / 6),
            (-1 / 6, 1 / 6, -1 / 6),
            (1 / 24, 1 / 12, 1 / 6),
            (1 / 24, -1 / 12, 1 / 6),
            (0, 0, 1),
        ),
        ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1)),
    ),
}
"""by m, with the points 0, 1, -1 (and 2, -2) and infinity"""


class WinogradConv:
    """A convolution with 3 x 3 filters, stride 1 and a border of 1.

    Args:
        weight: [K, C, 3, 3].
        bias: [K].
        tile: m, 2 or 4; it divides the pictures' height and width.
    """

    def __init__(self, weight: Tensor, bias: Tensor, tile: int) -> None:
        if tile not in _TRANSFORMS or weight.shape[2:] != (3, 3):
            raise ValueError(f"no transforms for tiles of {tile} and filters of {tuple(weight.shape[2:])}")
        self.tile = tile
        inputs, filters, outputs = (torch.tensor(t, dtype=torch.float64) for t in _TRANSFORMS[tile])
        self._inputs, self._outputs = (torch.kron(t, t).float() for t in (inputs, outputs))
        transformed = torch.einsum("ia,jb,kcab->ijck", filters, filters, weight.detach().double())
        self._filters = transformed.flatten(0, 1).float().contiguous()
        self._bias = bias.detach().float()

    def __call__(self, padded: Tensor) -> Tensor:
        """Convolve pictures with their border of zeros.

        Args:
            padded: [B, H + 2, W + 2, C] float32, contiguous.

        Returns:
            [B, H / m, m, W / m, m, K], not contiguous: `in_tiles` shows [B, H, W, K] in this form.
        """
        batch, height, width, channels = padded.shape
        rows, columns, taps = (height - 2) // self.tile, (width - 2) // self.tile, self.tile + 2
        of_picture, of_row, of_column, _ = padded.stride()
        tiles = padded.as_strided(
            (taps, taps, batch, rows, columns, channels),
            (of_row, of_column, of_picture, self.tile * of_row, self.tile * of_column, 1),
            padded.storage_offset(),
        ).reshape(taps * taps, -1)
        products = torch.bmm(torch.mm(self._inputs, tiles).view(taps * taps, -1, channels), self._filters)
        bias = self._bias.repeat(batch * rows * columns)
        made = torch.addmm(bias, self._outputs, products.view(taps * taps, -1))
        return made.view(self.tile, self.tile, batch, rows, columns, -1).permute(2, 3, 0, 4, 1, 5)


def in_tiles(pictures: Tensor, tile: int) -> Tensor:
    """Return a view of pictures [B, H, W, C] as [B, H / m, m, W / m, m, C]."""
    tiles: Tensor = pictures.unflatten(2, (-1, tile)).unflatten(1, (-1, tile))
    return tiles
