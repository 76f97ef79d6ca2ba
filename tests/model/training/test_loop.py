"""The training loop."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from longtake.model.errors import TrainingError
from longtake.model.training.loop import LoopConfig, Run, schedule_factor
from longtake.model.training.task import Figures, Task, Turn


class Line(Task[Tensor]):
    """A task small enough to follow: fit y = W x, with a little noise that torch's own stream draws."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(1)
        self.module: nn.Module = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3))
        for p in self.module.parameters():
            nn.init.normal_(p, std=0.3, generator=generator)
        self.truth = torch.randn(3, 4, generator=generator)
        self.seen: list[float] = []

    def batch(self, turn: Turn) -> Tensor:
        x = torch.from_numpy(turn.rng.standard_normal((32, 4)).astype(np.float32))
        self.seen.append(float(x[0, 0]))
        return x

    def loss(self, batch: Tensor, progress: float) -> tuple[Tensor, Figures]:
        assert 0 <= progress < 1
        noise = 0.01 * torch.randn(32, 3)
        return (self.module(batch) - batch @ self.truth.T + noise).square().mean(), {"progress": progress}

    def evaluate(self, module: nn.Module) -> dict[str, float]:
        return {"distance": float((module(torch.eye(4)) - self.truth.T).norm())}

    def state(self) -> dict[str, Any]:
        return {"seen": len(self.seen)}

    def restore(self, state: dict[str, Any]) -> None:
        self.seen = [0.0] * state["seen"]


def run(folder: Path, steps: int) -> Run[Tensor]:
    config = LoopConfig(steps=steps, lr=0.05, ema=0.9, warmup_steps=2, log_every=10, ranks=1)
    folder.mkdir(exist_ok=True)
    return Run(Line(), config, folder, 0)


def test_a_run_learns_saves_and_resumes(tmp_path: Path) -> None:
    first = run(tmp_path, 300)
    first.train()
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert rows[0]["loss"] > 10 * rows[-2]["loss"]
    assert rows[-1]["eval_distance"] < 0.5
    again = run(tmp_path, 300)
    assert again.resume()
    assert again.step == 300
    for key, value in load_file(tmp_path / "ema.safetensors").items():
        torch.testing.assert_close(value, first.ema[key])
    again.train()
    assert again.step == 300, "a finished run has nothing left to do"


def stop_after(training: Run[Tensor], steps: int) -> None:
    """Make a run stop by itself after so many steps, as a signal would."""
    task_loss = training.task.loss

    def loss(batch: Tensor, progress: float) -> tuple[Tensor, Figures]:
        training.stopping = training.step == steps - 1
        return task_loss(batch, progress)

    training.task.loss = loss  # type: ignore[method-assign]


def test_a_stopped_run_goes_on_as_if_it_had_not_stopped(tmp_path: Path) -> None:
    whole = run(tmp_path / "whole", 60)
    whole.train()
    first = run(tmp_path / "halves", 60)
    stop_after(first, 30)
    first.train()
    assert first.step == 30
    second = run(tmp_path / "halves", 60)
    torch.manual_seed(12345)  # whatever the process drew before does not matter
    assert second.resume()
    second.train()
    assert second.step == 60
    assert isinstance(whole.task, Line)
    assert isinstance(second.task, Line)
    assert second.task.seen[30:] == whole.task.seen[30:]
    for key, value in whole.task.module.state_dict().items():
        assert torch.equal(second.task.module.state_dict()[key], value), key
    for key, value in whole.ema.items():
        assert torch.equal(second.ema[key], value), key


def test_a_full_disk_is_one_line_and_leaves_the_last_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    training = run(tmp_path, 40)
    stop_after(training, 10)
    training.train()
    before = (tmp_path / "checkpoint.pt").read_bytes()

    def full(state: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise RuntimeError("[enforce fail at inline_container.cc:858] . PytorchStreamWriter failed writing file")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(TrainingError, match=r"cannot write .*checkpoint.pt: .*run the same command again") as caught:
        training.save()
    assert "\n" not in str(caught.value)
    assert (tmp_path / "checkpoint.pt").read_bytes() == before
    assert {path.name for path in tmp_path.iterdir()} == {"checkpoint.pt", "ema.safetensors", "log.jsonl"}


def test_a_checkpoint_of_another_model_is_refused(tmp_path: Path) -> None:
    training = run(tmp_path, 10)
    training.train()
    other = Line()
    other.module = nn.Sequential(nn.Linear(4, 9), nn.Linear(9, 3))
    with pytest.raises(TrainingError, match="no checkpoint of this run"):
        Run(other, training.config, tmp_path).resume()


def test_an_infinite_gradient_is_skipped(tmp_path: Path) -> None:
    one = run(tmp_path, 10)
    before = {k: v.clone() for k, v in one.task.module.state_dict().items()}
    one.task.batch = lambda turn: torch.full((32, 4), float("inf"))  # type: ignore[method-assign]
    one.update(Turn.at(0, seed=1))
    for key, value in one.task.module.state_dict().items():
        assert torch.equal(value, before[key])


def test_schedule_warms_up_and_decays() -> None:
    config = LoopConfig(steps=100, lr=1.0, warmup_steps=10, decay_fraction=0.2)
    assert schedule_factor(0.0, 0, config) == pytest.approx(0.1)
    assert schedule_factor(0.5, 50, config) == 1.0
    assert schedule_factor(0.9, 90, config) == pytest.approx(0.5)
    assert schedule_factor(1.0, 100, config) == 0.0
