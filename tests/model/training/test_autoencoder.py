from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from longtake.model.diorama.autoencoder import SHIPPED, Autoencoder, AutoencoderConfig
from longtake.model.loading import bundled_folder
from longtake.model.training.data.clips import ClipsConfig, write_clips
from longtake.model.training.recipes.autoencoder import (
    AutoencoderTask,
    AutoencoderTaskConfig,
    averaged,
    enlarged,
    weights_of,
)
from longtake.model.training.task import Turn


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    write_clips(folder, ClipsConfig(clips=2, frames=36, seed=3, scale=2))
    return folder


def task(clips: Path, **changes: Any) -> AutoencoderTask:
    paths = {"data": str(clips), "held_out": str(clips)}
    return AutoencoderTask(AutoencoderTaskConfig(**paths, upscale=2, clips=2, latents=1, decoder_only=True, **changes))


def test_a_larger_decoder_begins_as_the_small_one_with_its_pixels_repeated() -> None:
    torch.manual_seed(1)
    small, large = Autoencoder(AutoencoderConfig()).eval(), Autoencoder(AutoencoderConfig(upscale=2)).eval()
    large.load_state_dict(enlarged(small.state_dict(), 2))
    latents = torch.randn(1, 2, 16, 2, 3)
    with torch.inference_mode():
        wanted, made = small.decode_clip(latents), large.decode_clip(latents)
    assert made.shape == (1, 8, 3, 32, 48)
    assert torch.allclose(made, wanted.repeat_interleave(2, -1).repeat_interleave(2, -2), atol=1e-6)
    assert torch.allclose(averaged(made, 2), wanted, atol=1e-6)


def test_weights_of_the_right_size_stay_as_they_are() -> None:
    for upscale in (1, 2):
        state = Autoencoder(AutoencoderConfig(upscale=upscale)).state_dict()
        same = enlarged(state, upscale)
        assert all(torch.equal(same[name], value) for name, value in state.items())


def test_training_goes_on_from_what_shipped(tmp_path: Path) -> None:
    whole = weights_of(bundled_folder())
    Autoencoder(SHIPPED).load_state_dict(enlarged(whole, SHIPPED.upscale))
    save_file(whole, tmp_path / "ema.safetensors")
    again = weights_of(tmp_path / "ema.safetensors")
    assert all(torch.equal(again[name], value) for name, value in whole.items())


def test_a_larger_decoder_starts_no_smaller_one() -> None:
    with pytest.raises(ValueError, match="give --upscale 2"):
        enlarged(Autoencoder(AutoencoderConfig(upscale=2)).state_dict(), 1)


@pytest.mark.parametrize("progress", [0.0, 0.9])
def test_a_step_reaches_the_decoder_and_no_more(clips: Path, progress: float) -> None:
    training = task(clips)
    frames, weights, _ = batch = training.batch(Turn.at(1, seed=5, progress=progress))
    size = (192, 320) if progress else (128, 192)
    assert frames.shape[-2:] == weights.shape[-2:] == size
    loss, figures = training.loss(batch, progress)
    loss.backward()
    assert float(figures["psnr"]) > 0
    grads = {name.split(".")[0] for name, p in training.module.named_parameters() if p.grad is not None}
    assert grads == {"decoder"}


def test_the_actors_box_counts_more_in_the_pixels_of_the_clips(clips: Path) -> None:
    training = task(clips, on_actor=1.0, actor_weight=5.0)
    frames, weights, _ = training.batch(Turn.at(0, seed=5))
    assert set(weights.unique().tolist()) == {1.0, 5.0}, "a box was met, and nothing else is weighted"
    boxes = [clip[:, 2:] - clip[:, :2] for clip in training.clips.boxes]
    largest = max(float(sides.prod(-1).max()) for sides in boxes)
    assert float((weights[0, 0] == 5).sum()) <= 1.3 * largest
    assert frames.dtype == torch.uint8


def test_clips_of_another_scale_are_refused(clips: Path) -> None:
    with pytest.raises(ValueError, match="of scale 2, the decoder's pictures of 1"):
        AutoencoderTask(AutoencoderTaskConfig(data=str(clips), held_out=str(clips)))


def test_figures_tell_the_large_pictures_and_their_averages(clips: Path) -> None:
    training = task(clips)
    with torch.inference_mode():
        figures = training.evaluate(training.module.eval())
    assert set(figures) == {"psnr_db", "psnr_db_worst", "averages_psnr_db", "actor_psnr_db"}
    assert figures["averages_psnr_db"] > figures["psnr_db"]
