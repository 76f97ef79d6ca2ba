"""Trajectories: the noise of each is its own, and a folder of others is refused."""

import sys
from pathlib import Path

import pytest
import torch

from longtake.model.errors import ConfigError, TrainingError
from longtake.model.training.data.trajectories import TrajectoryFolder
from longtake.model.training.recipes import trajectories
from longtake.model.training.recipes.ode_init import fitting
from longtake.model.training.recipes.trajectories import NEEDED, NumberedDraws, TrajectoriesConfig, plan_of
from longtake.model.training.recipes.world_config import WorldConfig

CPU = torch.device("cpu")
WAN = WorldConfig(model="longlive-1.3b", rehearsal=True)


def test_noise_comes_from_a_trajectorys_own_seed() -> None:
    together = NumberedDraws([3, 8], CPU).noise(1, 2, 3, 16, 4, 6)
    alone = NumberedDraws([8], CPU).noise(1, 1, 3, 16, 4, 6)
    assert torch.equal(together[:, 1:], alone)
    assert not torch.equal(together[:, :1], alone)


def test_a_folder_of_other_settings_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = trajectories.recipe(tmp_path, WAN)
    TrajectoryFolder(tmp_path).claim(plan_of(made, WAN.world(NEEDED)))
    before = {path.name for path in tmp_path.iterdir()}
    arguments = ["--model", "longlive-1.3b", "--rehearsal", "--out", str(tmp_path), "--set", "guidance=1"]
    monkeypatch.setattr(sys, "argv", ["trajectories", *arguments])
    with pytest.raises(TrainingError, match="holds trajectories of other guidance"):
        trajectories.main()
    assert {path.name for path in tmp_path.iterdir()} == before


def test_a_student_of_another_size_is_refused(tmp_path: Path) -> None:
    made, folder = trajectories.recipe(tmp_path, WAN), TrajectoryFolder(tmp_path)
    world = WAN.world(NEEDED)
    folder.claim(plan_of(made, world))
    with pytest.raises(TrainingError, match="holds no trajectories yet"):
        fitting(folder, world, "longlive-1.3b")
    with pytest.raises(TrainingError, match=r"of other model \(longlive-1.3b\) than the generator's \(diorama\)"):
        fitting(folder, world, "diorama")


def test_impossible_settings_are_refused() -> None:
    with pytest.raises(ConfigError, match="blocks must be at least 1, not 0"):
        TrajectoriesConfig(folder=Path(), blocks=0)
    with pytest.raises(ConfigError, match="must be at least 0"):
        TrajectoriesConfig(folder=Path(), guidance=-1.0)
