"""The transformer's recipe: what a step shows, learns and reports."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from longtake.model.errors import ConfigError
from longtake.model.training.data.drawing import DrawingConfig
from longtake.model.training.data.sampling import SamplingConfig
from longtake.model.training.data.supply import SupplyConfig
from longtake.model.training.recipes.transformer import (
    PRESETS,
    TransformerBatch,
    TransformerTask,
    TransformerTaskConfig,
    recipe,
)
from longtake.model.training.settings import changed
from longtake.model.training.task import Turn


@contextmanager
def task(folder: Path, short: DrawingConfig, **changes: object) -> Iterator[TransformerTask]:
    config = TransformerTaskConfig(
        folder=folder,
        parts=short.text_encoder,
        transformer=replace(PRESETS["tiny"], dim=32, ffn_dim=32, layers=1),
        supply=SupplyConfig(drawing=short, pool_clips=2, first_clips=2, refresh=0.0),
        sampling=SamplingConfig(frames=4),
        opening_frames=5,
        singles=3,
        held_out=0,
        compile=False,
    )
    made = TransformerTask(replace(config, **changes))  # type: ignore[arg-type]
    made.prepare()
    yield made
    made.close()


def kinds(made: TransformerTask, progress: float) -> list[bool]:
    return [made.batch(Turn.at(step, seed=1, progress=progress)).clips is None for step in range(12)]


def test_a_run_opens_with_first_frames_and_goes_on_with_clips(tmp_path: Path, short: DrawingConfig) -> None:
    with task(tmp_path, short, opening=0.3, opening_again=0.25) as made:
        assert all(kinds(made, 0.29))
        later = kinds(made, 0.31)
        assert True in later
        assert later.count(False) > later.count(True)
        same = [made.batch(Turn.at(3, seed=1, rank=rank, progress=0.5)) for rank in (0, 1)]
        assert (same[0].clips is None) == (same[1].clips is None), "ranks do the same kind of step"
        assert not torch.equal(same[0].first_frames.latents, same[1].first_frames.latents)


def test_a_step_reaches_every_parameter(tmp_path: Path, short: DrawingConfig) -> None:
    with task(tmp_path, short, opening=0.0, opening_again=0.0) as made:
        with torch.no_grad():
            for p in made.module.parameters():
                p.add_(0.02 * torch.randn_like(p))
        batch = made.batch(Turn.at(0, seed=1, progress=0.5))
        assert batch.clips is not None
        assert batch.clips.latents.shape == (1, 4, 16, 12, 20)
        assert batch.first_frames.latents.shape == (3, 1, 16, 12, 20)
        loss, figures = made.loss(batch, 0.5)
        loss.backward()
        made.collect_gradients()
        assert set(figures) == {"clips", "singles"}
        for name, p in made.module.named_parameters():
            assert p.grad is not None, name
            assert p.grad.abs().max() > 0, name


@pytest.mark.parametrize("attention", ["window", "fused"])
def test_attention_is_chosen_by_name_and_gives_the_same_loss(
    tmp_path: Path, short: DrawingConfig, attention: str
) -> None:
    with task(tmp_path, short, opening=0.0, opening_again=0.0) as reference:
        batch = reference.batch(Turn.at(0, seed=1, progress=0.5))
        wanted = loss_of(reference, batch)
        with task(tmp_path / attention, short, attention=attention) as made:
            made.module.load_state_dict(reference.module.state_dict())
            assert loss_of(made, batch) == pytest.approx(wanted, rel=0.02)


def loss_of(made: TransformerTask, batch: TransformerBatch) -> float:
    torch.manual_seed(3)
    return float(made.loss(batch, 0.5)[0].detach())


def test_held_out_figures_repeat_and_samples_are_made(
    tmp_path: Path, short: DrawingConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("longtake.model.training.samples.SECONDS", (0.0, 0.25))
    monkeypatch.setattr("longtake.model.training.samples.SHOWN", ("a red boat",))
    with task(tmp_path, short, held_out=1, samples_every_s=1e9) as made, torch.inference_mode():
        first = made.evaluate(made.module)
        assert first == made.evaluate(made.module)
        assert set(first) == {"clips", "singles"}
    assert [path.name for path in (tmp_path / "samples").iterdir()] == ["000.jpg"]


def test_settings_follow_the_device_and_the_command_line() -> None:
    settings = recipe(Path("x"), "cpu", 4.0)
    assert settings.loop.ranks == 2
    assert settings.task.transformer.actions == 2
    wider = changed(settings, ["dim=384", "heads=6", "ffn_dim=1536", "lr=0.02"])
    assert wider.task.transformer.dim == 384
    assert wider.loop.lr == 0.02
    with pytest.raises(ConfigError, match="no network is called"):
        recipe(Path("x"), "cpu", 4.0, network="huge")
    with pytest.raises(ConfigError, match="cannot be chosen from a clip of 20"):
        changed(settings, ["sampling.frames=20"])
    with pytest.raises(ConfigError, match="window or fused"):
        changed(settings, ["attention=flash"])
    with pytest.raises(ConfigError, match="name its teacher as well"):
        changed(settings, ["task.steps=2"])
    assert changed(settings, ["task.steps=2", "teacher=t.safetensors"]).task.steps == 2
