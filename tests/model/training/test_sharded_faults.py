"""What goes wrong in runs of spread networks: one line, nothing half-written, and the run goes on."""

import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from longtake.model.errors import TrainingError
from longtake.model.training import sharded_checkpoint
from longtake.model.training.launch import launch_loop
from longtake.model.training.recipes.distillation import DistillationConfig, DistillationTask
from longtake.model.training.recipes.world_config import WorldConfig
from longtake.model.training.sharded_run import ShardedConfig, ShardedRun

LOOP = ShardedConfig(steps=1, members=1, ranks=1, log_every=1, ema_start=1, checkpoint_every_s=1e9)


def config(folder: Path) -> DistillationConfig:
    world = WorldConfig(model="longlive-1.3b", rehearsal=True)
    return DistillationConfig(folder=folder, world=world, blocks=1, generator_every=2, samples_every_s=0.0)


def train(folder: Path, steps: int) -> None:
    task, loop = config(folder), replace(LOOP, steps=steps)
    launch_loop(partial(DistillationTask, task, loop), ShardedRun, loop, folder, {})


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def full(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("what", ["save", "member"])
def test_a_full_disk_leaves_the_checkpoint_before_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    train(tmp_path, steps=1)
    before = files(tmp_path / "checkpoints")
    with monkeypatch.context() as patch:
        if what == "save":
            patch.setattr(sharded_checkpoint, "save", full)
        else:
            patch.setattr(torch, "save", full)
        with pytest.raises(TrainingError, match=r"cannot write .*No space left on device; mend that") as caught:
            train(tmp_path, steps=2)
    assert "\n" not in str(caught.value)
    assert files(tmp_path / "checkpoints") == before
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-000001"], "nothing half-written"
    train(tmp_path, steps=2)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-000002"]


def test_a_killed_ranks_half_checkpoint_is_passed_over(tmp_path: Path) -> None:
    """What `kill -9` leaves in the middle of writing has another name, and the next checkpoint clears it away."""
    train(tmp_path, steps=1)
    whole = tmp_path / "checkpoints" / "step-000001"
    half = tmp_path / "checkpoints" / ".step-000002"
    shutil.copytree(whole, half)
    next(half.glob("*.distcp")).unlink()
    assert sharded_checkpoint.newest(tmp_path) == whole
    train(tmp_path, steps=2)
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["step-000002"]


def test_a_damaged_checkpoint_is_one_line(tmp_path: Path) -> None:
    train(tmp_path, steps=1)
    for path in (tmp_path / "checkpoints" / "step-000001").glob("*.distcp"):
        path.write_bytes(b"cut short")
    with pytest.raises(TrainingError, match="is no checkpoint of this run") as caught:
        train(tmp_path, steps=2)
    assert "\n" not in str(caught.value)


def test_a_checkpoint_is_the_same_for_other_members(tmp_path: Path) -> None:
    """A batch of another size is another run."""
    train(tmp_path, steps=1)
    loop = replace(LOOP, steps=2, members=2)
    with pytest.raises(TrainingError, match="is no checkpoint of this run"):
        launch_loop(partial(DistillationTask, config(tmp_path), loop), ShardedRun, loop, tmp_path, {})
