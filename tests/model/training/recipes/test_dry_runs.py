"""Every recipe that distils, as its command, at tiny width on two ranks."""

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
import torch

from longtake.model.training.data.trajectories import TrajectoryFolder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # each rank is a process that imports torch


def command(recipe: str, model: str, folder: Path, *arguments: str, before: Sequence[str] = ()) -> None:
    module = f"longtake.model.training.recipes.{recipe}"
    given = ["--model", model, "--rehearsal", "--out", str(folder), *arguments]
    done = subprocess.run([sys.executable, "-m", *before, module, *given], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "leaked" not in done.stderr


def rehearse(recipe: str, model: str, folder: Path, *arguments: str, before: Sequence[str] = ()) -> None:
    command(recipe, model, folder, "--steps", "2", "--set", "log_every=1", *arguments, before=before)
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2]
    assert json.loads((folder / "config.json").read_text())["loop"]["ranks"] == 2
    assert (folder / "finished").exists()
    assert (folder / "ema.safetensors").exists()
    assert (folder / "lora.pt").exists() == (recipe == "streaming")


@pytest.mark.parametrize(
    ("recipe", "model"), [("self_forcing", "diorama"), ("streaming", "diorama"), ("streaming", "longlive-1.3b")]
)
@pytest.mark.usefixtures("parts")
def test_a_recipe_runs(recipe: str, model: str, tmp_path: Path) -> None:
    # One of them with a sheet of samples, which comes from Wan's VAE.
    shows = (recipe, model) == ("streaming", "longlive-1.3b")
    rehearse(recipe, model, tmp_path, *(("--set", "samples_every_s=600") if shows else ()))
    assert (tmp_path / "samples" / "000.jpg").exists() == shows


def test_a_recipe_runs_under_torchrun(tmp_path: Path) -> None:
    """The fourth pair of recipe and model."""
    before = ("torch.distributed.run", "--nproc-per-node", "2", "-m")
    rehearse("self_forcing", "longlive-1.3b", tmp_path, before=before)


@pytest.mark.parametrize("model", ["diorama", "longlive-1.3b"])
@pytest.mark.usefixtures("parts")
def test_trajectories_are_made_and_trained_on(model: str, tmp_path: Path) -> None:
    paths = tmp_path / "paths"
    command("trajectories", model, paths, "--set", "count=3")
    folder = TrajectoryFolder(paths)
    assert folder.numbers() == [0, 1, 2]
    kept = folder.read(1).latents
    if model == "diorama":
        # What is missing is made again, the same with another number of ranks.
        (paths / "0000001.safetensors").unlink()
        command("trajectories", model, paths, "--set", "count=3", "--ranks", "1")
        torch.testing.assert_close(folder.read(1).latents, kept, rtol=0.05, atol=0.05)
    rehearse("ode_init", model, tmp_path / "run", "--trajectories", str(paths))
    row = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[-1])
    assert row["generator_loss"] > 0
    assert row["generator_grad"] > 0


def test_an_unknown_setting_is_one_line(tmp_path: Path) -> None:
    module = "longtake.model.training.recipes.streaming"
    arguments = ["--rehearsal", "--out", str(tmp_path), "--set", "gidance=1"]
    done = subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.strip().count("\n") == 0
    assert "did you mean guidance?" in done.stderr
