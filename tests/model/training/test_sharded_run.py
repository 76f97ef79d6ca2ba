"""Runs of spread networks: stopped, gone on with, and gone on with by other ranks."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from longtake.model.errors import ConfigError, TrainingError
from longtake.model.training.launch import launch_loop
from longtake.model.training.objectives.streaming import StreamingConfig
from longtake.model.training.recipes.distillation import DistillationConfig, DistillationTask
from longtake.model.training.recipes.world_config import WorldConfig
from longtake.model.training.sharded_run import AdamWConfig, ShardedConfig, ShardedRun

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]  # each rank is a process that imports torch
CPU = torch.device("cpu")
LOOP = ShardedConfig(steps=4, members=2, ranks=1, log_every=1, ema_start=1, checkpoint_every_s=1e9)


def settings(folder: Path) -> DistillationConfig:
    """LongLive's long stage at the smallest size: the stop comes in the middle of a take."""
    return DistillationConfig(
        folder=folder,
        stage="streaming",
        world=WorldConfig(model="longlive-1.3b", rehearsal=True),
        streaming=StreamingConfig(window_frames=3, chunk_frames=3, longest_frames=30),
        generator=AdamWConfig(lr=1e-3),
        critic=AdamWConfig(lr=1e-3),
        generator_every=2,
        lora_rank=4,
        samples_every_s=0.0,  # Wan's decoder on a CPU takes longer than all the rest
    )


def train(folder: Path, *, steps: int, ranks: int = 1) -> dict[str, torch.Tensor]:
    task, loop = settings(folder), replace(LOOP, steps=steps, ranks=ranks)
    launch_loop(partial(DistillationTask, task, loop), ShardedRun, loop, folder, {})
    return load_file(folder / "ema.safetensors")


def test_a_run_goes_on_exactly_and_with_other_ranks(tmp_path: Path) -> None:
    whole = train(tmp_path / "whole", steps=4)
    train(tmp_path / "halves", steps=2)
    halves = train(tmp_path / "halves", steps=4)
    for name, value in whole.items():
        assert torch.equal(halves[name], value), name
    train(tmp_path / "ranks", steps=2, ranks=2)
    ranks = train(tmp_path / "ranks", steps=4)
    begun = train(tmp_path / "begun", steps=1)
    moved = sum(float((value - begun[name]).norm()) for name, value in whole.items())
    apart = sum(float((value - ranks[name]).norm()) for name, value in whole.items())
    assert moved > 0
    assert apart < 0.02 * moved
    rows = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert ["generator_loss" in row for row in rows] == [True, False, True, False]
    assert [path.name for path in (tmp_path / "ranks" / "checkpoints").iterdir()] == ["step-000004"]


def test_a_run_goes_on_with_the_settings_that_it_is_given_then(tmp_path: Path) -> None:
    train(tmp_path, steps=1)
    other = AdamWConfig(lr=0.25, betas=(0.5, 0.6), weight_decay=0.125)
    made = DistillationTask(replace(settings(tmp_path), generator=other), LOOP, CPU)
    try:
        ShardedRun(made, LOOP, tmp_path).resume()
        groups = {name: each.optimizer.param_groups[0] for name, each in made.learners.items()}
        held = made.learners["generator"].optimizer.state
    finally:
        made.close()
    assert (groups["generator"]["lr"], groups["critic"]["lr"]) == (0.25, 1e-3)
    assert (groups["generator"]["betas"], groups["generator"]["weight_decay"]) == ((0.5, 0.6), 0.125)
    assert {float(state["step"]) for state in held.values()} == {1.0}
    assert sum(float(state["exp_avg_sq"].sum()) for state in held.values()) > 0, "what it has learned is kept"


def test_a_checkpoint_of_another_run_is_refused(tmp_path: Path) -> None:
    train(tmp_path, steps=1)
    task = replace(settings(tmp_path), lora_rank=2)
    made = DistillationTask(task, LOOP, CPU)
    try:
        with pytest.raises(TrainingError, match="no checkpoint of this run") as caught:
            ShardedRun(made, LOOP, tmp_path).resume()
    finally:
        made.close()
    assert "\n" not in str(caught.value)


def test_members_that_ranks_cannot_share_are_refused() -> None:
    with pytest.raises(ConfigError, match="2 ranks cannot share the 3 members"):
        ShardedConfig(steps=1, members=3, ranks=2)
