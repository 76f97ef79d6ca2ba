"""Encoders that latents are made with: the one that ships, and a run's."""

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from longtake.model.diorama.autoencoder import SHIPPED, Autoencoder
from longtake.model.diorama.files import bundled_folder
from longtake.model.errors import CheckpointError
from longtake.model.training.data.latents import load_encoder


def test_the_encoder_that_ships_is_read_from_its_folder() -> None:
    encoder = load_encoder(bundled_folder())
    with torch.inference_mode():
        latents = encoder.encode(torch.rand(1, 8, 3, 32, 48))
    assert latents.shape == (1, 2, SHIPPED.latent_channels, 4, 6)
    assert encoder.norm.running_var.dtype == torch.float32


def test_a_runs_weights_hold_the_encoder_too(tmp_path: Path) -> None:
    torch.manual_seed(0)
    whole = Autoencoder(SHIPPED).eval()
    save_file({name: value.contiguous() for name, value in whole.state_dict().items()}, tmp_path / "ema.safetensors")
    frames = torch.rand(1, 8, 3, 32, 48)
    with torch.inference_mode():
        torch.testing.assert_close(load_encoder(tmp_path / "ema.safetensors").encode(frames), whole.encode(frames))


def test_a_file_without_an_encoder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"encoder\.safetensors does not exist; give a run's ema\.safetensors"):
        load_encoder(tmp_path)
    save_file({"decoder.body.0.weight": torch.zeros(1)}, tmp_path / "x.safetensors")
    with pytest.raises(CheckpointError, match=r"x\.safetensors holds no encoder"):
        load_encoder(tmp_path / "x.safetensors")
