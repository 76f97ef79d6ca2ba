"""Every recipe that distils, as its command, at tiny width on two ranks."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]  # each rank is a process that imports torch


def rehearse(recipe: str, model: str, folder: Path, *before: str) -> None:
    module = f"longtake.model.training.recipes.{recipe}"
    arguments = ["--model", model, "--rehearsal", "--steps", "2", "--out", str(folder), "--set", "log_every=1"]
    done = subprocess.run([sys.executable, "-m", *before, module, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [1, 2]
    assert json.loads((folder / "config.json").read_text())["loop"]["ranks"] == 2
    assert (folder / "finished").exists()
    assert (folder / "ema.safetensors").exists()
    assert (folder / "lora.pt").exists() == (recipe == "streaming")


@pytest.mark.parametrize("recipe", ["self_forcing", "streaming"])
@pytest.mark.parametrize("model", ["diorama", "longlive-1.3b"])
@pytest.mark.usefixtures("parts")
def test_a_recipe_runs(recipe: str, model: str, tmp_path: Path) -> None:
    rehearse(recipe, model, tmp_path)


def test_a_recipe_runs_under_torchrun(tmp_path: Path) -> None:
    rehearse("self_forcing", "longlive-1.3b", tmp_path, "torch.distributed.run", "--nproc-per-node", "2", "-m")


def test_an_unknown_setting_is_one_line(tmp_path: Path) -> None:
    module = "longtake.model.training.recipes.streaming"
    arguments = ["--rehearsal", "--out", str(tmp_path), "--set", "gidance=1"]
    done = subprocess.run([sys.executable, "-m", module, *arguments], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.strip().count("\n") == 0
    assert "did you mean guidance?" in done.stderr
