"""Winograd's convolution computes what torch's does."""

import pytest
import torch
import torch.nn.functional as F

from longtake.model.ops.winograd import WinogradConv, in_tiles


@pytest.mark.parametrize(("tile", "height", "width"), [(2, 2, 6), (2, 12, 20), (4, 4, 4), (4, 24, 40), (4, 8, 12)])
@pytest.mark.parametrize(("batch", "channels", "outputs"), [(1, 16, 16), (3, 5, 7)])
def test_it_is_a_convolution_with_a_border_of_zeros(
    tile: int, height: int, width: int, batch: int, channels: int, outputs: int
) -> None:
    torch.manual_seed(tile)
    weight, bias = torch.randn(outputs, channels, 3, 3) / (9 * channels) ** 0.5, torch.randn(outputs)
    pictures = torch.randn(batch, channels, height, width)
    padded = F.pad(pictures, (1, 1, 1, 1)).permute(0, 2, 3, 1).contiguous()
    made = WinogradConv(weight, bias, tile)(padded)
    assert made.shape == (batch, height // tile, tile, width // tile, tile, outputs)
    wanted = F.conv2d(pictures.double(), weight.double(), bias.double(), padding=1).permute(0, 2, 3, 1)
    torch.testing.assert_close(made.double(), in_tiles(wanted, tile), rtol=0, atol=1e-4)
    if tile == 2:
        torch.testing.assert_close(made.double(), in_tiles(wanted, tile), rtol=0, atol=1e-5)


@pytest.mark.parametrize(("tile", "filters"), [(3, 3), (2, 5)])
def test_what_has_no_transforms_is_refused(tile: int, filters: int) -> None:
    with pytest.raises(ValueError, match="no transforms"):
        WinogradConv(torch.zeros(1, 1, filters, filters), torch.zeros(1), tile)
