"""The decoder that a CPU plays with makes the pictures of the one that was trained."""

import pytest
import torch
from torch import nn

from longtake.model.diorama.autoencoder_parts import AutoencoderConfig, ResidualConv
from longtake.model.diorama.cpu_decoder import WinogradResidual, quicken
from longtake.model.diorama.moving_decoder import MovingDecoder

CONFIG = AutoencoderConfig(decoder_widths=(128, 128, 16), decoder_layers=(1, 1, 1))


def decoders(height: int, width: int) -> tuple[MovingDecoder, MovingDecoder]:
    torch.manual_seed(0)
    trained = MovingDecoder(CONFIG).eval().requires_grad_(False)
    for p in trained.parameters():
        nn.init.normal_(p, std=0.03)
    quick = MovingDecoder(CONFIG).eval().requires_grad_(False)
    quick.load_state_dict(trained.state_dict())
    for each in (trained, quick):
        each.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    quicken(quick, (height, width))
    return trained, quick


@pytest.mark.parametrize(("height", "width", "replaced"), [(12, 20, [True, True, False]), (6, 9, [False, True, False])])
@torch.inference_mode()
def test_pictures_are_the_same(height: int, width: int, replaced: list[bool]) -> None:
    trained, quick = decoders(height, width)
    layers = [layer for layer in quick.body if isinstance(layer, ResidualConv | WinogradResidual)]
    assert [isinstance(layer, WinogradResidual) for layer in layers] == replaced
    latents = torch.randn(2, 3, 16, height, width)
    states = trained.open(2), quick.open(2)
    wanted, made = trained.decode(latents, states[0]), quick.decode(latents, states[1])
    assert wanted.std() > 0.01
    torch.testing.assert_close(made, wanted, rtol=0, atol=1e-4)
