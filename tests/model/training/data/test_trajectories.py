"""Folders of trajectories."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from longtake.model.errors import TrainingError
from longtake.model.training.data.trajectories import PLAN, Trajectory, TrajectoryFolder, TrajectoryPlan

MADE = TrajectoryPlan(
    model="diorama",
    teacher="",
    timesteps=(1000.0, 937.5),
    latents=(2, 16, 4, 6),
    actions=2,
    steps=8,
    guidance=0.0,
    prompts="0123",
    seed=0,
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    folder = TrajectoryFolder(tmp_path)
    folder.claim(MADE)
    latents, actions = torch.randn(3, 2, 16, 4, 6).bfloat16().float(), torch.randn(2, 2)
    folder.write(7, Trajectory(latents=latents, prompt="ein Fuchs, 狐", actions=actions))
    folder.write(0, Trajectory(latents=latents, prompt="a boat"))
    assert folder.numbers() == [0, 7]
    found = folder.read(7)
    assert found.prompt == "ein Fuchs, 狐"
    assert torch.equal(found.latents, latents)
    assert found.actions is not None
    assert torch.equal(found.actions, actions)
    assert folder.read(0).actions is None
    assert folder.plan() == MADE


def test_a_folder_of_other_trajectories_is_refused(tmp_path: Path) -> None:
    folder = TrajectoryFolder(tmp_path)
    folder.claim(MADE)
    folder.claim(MADE)
    with pytest.raises(TrainingError, match=r"of other guidance \(0.0, not 4.0\); choose another folder") as caught:
        folder.claim(replace(MADE, guidance=4.0))
    assert "\n" not in str(caught.value)


def test_what_is_not_there_or_damaged_is_one_line(tmp_path: Path) -> None:
    folder = TrajectoryFolder(tmp_path)
    with pytest.raises(TrainingError, match="holds no trajectories; make them with `longtake train trajectories`"):
        folder.plan()
    (tmp_path / PLAN).write_text("{}")
    with pytest.raises(TrainingError, match="cannot be used") as caught:
        folder.plan()
    assert "\n" not in str(caught.value)
    (tmp_path / "0000003.safetensors").write_bytes(b"cut short")
    with pytest.raises(TrainingError, match=r"0000003.safetensors is damaged .*delete it") as caught:
        folder.read(3)
    assert "\n" not in str(caught.value)
