from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from longtake.model.diorama.autoencoder import SHIPPED, Autoencoder
from longtake.model.errors import TrainingError
from longtake.model.training.data.clips import Clips, ClipsConfig, write_clips
from longtake.model.training.recipes.autoencoder import (
    AutoencoderTask,
    AutoencoderTaskConfig,
    averaged,
    calibrate,
    weights_of,
)
from longtake.model.training.task import Turn


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    write_clips(folder, ClipsConfig(clips=2, frames=36, seed=3, scale=2))
    return folder


def task(folder: Path, **changes: Any) -> AutoencoderTask:
    settings = {"data": (str(folder),), "held_out": str(folder), "clips": 2, "latents": 2, **changes}
    return AutoencoderTask(AutoencoderTaskConfig(**settings))


def test_training_goes_on_from_a_run_or_from_a_folder_of_halves(tmp_path: Path) -> None:
    whole = {name: value.contiguous() for name, value in Autoencoder(SHIPPED).state_dict().items()}
    save_file(whole, tmp_path / "ema.safetensors")
    for half in ("encoder", "decoder"):
        part = {k.removeprefix(f"{half}."): v for k, v in whole.items() if k.startswith(f"{half}.")}
        save_file(part, tmp_path / f"{half}.safetensors")
    for again in (weights_of(tmp_path / "ema.safetensors"), weights_of(tmp_path)):
        assert again.keys() == whole.keys()
        assert all(torch.equal(again[name], value) for name, value in whole.items())


def test_averages_are_over_squares() -> None:
    frames = torch.arange(16.0).view(1, 1, 1, 4, 4).expand(1, 2, 3, 4, 4)
    assert averaged(frames)[0, 0, 0].tolist() == [[2.5, 4.5], [10.5, 12.5]]


@pytest.mark.parametrize("progress", [0.0, 0.9])
@pytest.mark.parametrize("decoder_only", [False, True])
def test_a_step_reaches_what_is_trained(clips: Path, progress: float, decoder_only: bool) -> None:
    training = task(clips, decoder_only=decoder_only)
    batch = training.batch(Turn.at(1, seed=5, progress=progress))
    size = (192, 320) if progress else (128, 192)
    assert batch.frames.shape[-2:] == batch.before.shape[-2:] == batch.weights.shape[-2:] == size
    loss, figures = training.loss(batch, progress)
    loss.backward()
    assert float(figures["psnr"]) > 0
    grads = {name.split(".")[0] for name, p in training.module.named_parameters() if p.grad is not None}
    assert grads == ({"decoder"} if decoder_only else {"encoder", "decoder"})


def test_the_frame_before_a_crop_is_the_one_before_it(clips: Path) -> None:
    training = task(clips, clips=16, latents=4, known_before=1.0)
    batch = training.batch(Turn.at(0, seed=5))
    changes = (batch.frames[:, :1].float() - batch.before.float()).abs().mean((1, 2, 3, 4))
    inside = batch.frames.float().diff(dim=1).abs().mean((1, 2, 3, 4))
    assert batch.known.any()
    assert torch.all(changes[batch.known] < 4 * inside[batch.known] + 1)
    assert not batch.known[changes == 0].any() or bool((inside[changes == 0] < 1).all())
    assert not task(clips, known_before=0.0).batch(Turn.at(0, seed=5)).known.any()


def test_the_actors_box_counts_more_in_the_pixels_of_the_clips(clips: Path) -> None:
    training = task(clips, on_actor=1.0, actor_weight=5.0)
    batch = training.batch(Turn.at(0, seed=5))
    assert set(batch.weights.unique().tolist()) == {1.0, 5.0}, "a box was met, and nothing else is weighted"
    boxes = [clips.boxes[clip][:, 2:] - clips.boxes[clip][:, :2] for clips, clip in training.clips]
    largest = max(float(sides.prod(-1).max()) for sides in boxes)
    assert float((batch.weights[0, 0] == 5).sum()) <= 1.3 * largest
    assert batch.frames.dtype == torch.uint8


def test_clips_of_another_scale_are_refused(tmp_path: Path) -> None:
    write_clips(tmp_path, ClipsConfig(clips=1, frames=36, seed=3, scale=1))
    with pytest.raises(TrainingError, match="of scale 1, the decoder's pictures of 2"):
        task(tmp_path)


def test_figures_tell_motion_and_detail_by_weather(clips: Path) -> None:
    training = task(clips)
    with torch.inference_mode():
        figures = training.evaluate(training.module.eval())
    assert {"psnr_db", "psnr_db_worst", "averages_psnr_db", "actor_psnr_db"} <= figures.keys()
    assert figures["averages_psnr_db"] > figures["psnr_db"]
    for kind in ("detail", "motion", "evenness"):
        weathers = {name.removeprefix(f"{kind}_") for name in figures if name.startswith(f"{kind}_")}
        assert weathers == {training.held_out.scene_at(clip, 4).weather for clip in range(2)}
        assert figures[kind] >= 0


def test_calibration_measures_the_latents_under_the_final_weights(clips: Path) -> None:
    torch.manual_seed(0)
    model = Autoencoder(SHIPPED).eval()
    model.encoder.norm.running_var.fill_(100.0)
    calibrate(model, Clips(clips), count=4)
    frames = torch.from_numpy(Clips(clips).frames[0][:16].copy()).permute(0, 3, 1, 2)[None].float() / 255
    with torch.inference_mode():
        spread = model.encode(averaged(frames)).std((0, 1, 3, 4))
    assert 0.2 < float(spread.mean()) < 3


def test_an_adversary_learns_beside_the_decoder_and_counts_after_a_while(clips: Path) -> None:
    training = task(clips, decoder_only=True, adversary_weight=0.5, adversary_alone=1, adversary_pairs=2)
    for step, counts in ((0, False), (1, True)):
        batch = training.batch(Turn.at(step, seed=5))
        assert batch.adversary_counts is counts
        loss, figures = training.loss(batch, 0.0)
        loss.backward()
        assert ("adversary" in figures) is counts
        assert float(figures["told_apart"]) > 0
    grads = {name.split(".")[0] for name, p in training.module.named_parameters() if p.grad is not None}
    assert grads == {"decoder", "adversary"}


def test_weights_of_a_run_leave_its_adversary_out(clips: Path, tmp_path: Path) -> None:
    state = task(clips, adversary_weight=0.5).module.state_dict()
    save_file({name: value.contiguous() for name, value in state.items()}, tmp_path / "ema.safetensors")
    assert any(name.startswith("adversary.") for name in state)
    assert weights_of(tmp_path / "ema.safetensors").keys() == Autoencoder(SHIPPED).state_dict().keys()
