"""Ranks of a run: started, agreed, stopped and lost."""

import atexit
import json
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import NoReturn

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from longtake.model.errors import BackendError, TrainingError
from longtake.model.locks import locked
from longtake.model.training.compute import rank_and_ranks
from longtake.model.training.launch import launch
from longtake.model.training.loop import LoopConfig
from longtake.model.training.task import Figures, Task, Turn

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # each rank is a process that imports torch
CONFIG = LoopConfig(steps=12, lr=0.05, ema=0.5, warmup_steps=2, log_every=4)


class Line(Task[Tensor]):
    """Fit y = W x; each rank sees other data."""

    def __init__(self, device: torch.device) -> None:
        torch.manual_seed(1)
        self.module: nn.Module = nn.Linear(4, 3).to(device)
        self.truth = torch.arange(12.0).view(3, 4) / 10

    def batch(self, turn: Turn) -> Tensor:
        return torch.from_numpy(turn.rng.standard_normal((16, 4)).astype(np.float32))

    def loss(self, batch: Tensor, progress: float) -> tuple[Tensor, Figures]:
        return (self.module(batch) - batch @ self.truth.T).square().mean(), {}


class Failing(Line):
    """The second rank cannot go on at its third step."""

    def batch(self, turn: Turn) -> Tensor:
        if turn.step == 2 and rank_and_ranks()[0] == 1:
            raise TrainingError("the second rank has had enough")
        return super().batch(turn)


class Refused(Line):
    """No rank can begin."""

    def __init__(self, device: torch.device) -> None:
        raise TrainingError("these weights are of another network")


class Killed(Line):
    """The second rank is killed at its third step, when the first has saved a checkpoint."""

    def batch(self, turn: Turn) -> Tensor:
        if turn.step == 2 and rank_and_ranks()[0] == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().batch(turn)


class Aborts:
    """Aborts the process that lets go of it."""

    def __del__(self, abort: Callable[[], NoReturn] = os.abort) -> None:
        abort()


class Aborting(Line):
    """Every rank's interpreter aborts while it is torn down; before that it does what is to be done at the end."""

    def __init__(self, device: torch.device, folder: Path) -> None:
        super().__init__(device)
        self.folder = folder

    def prepare(self) -> None:
        sys.modules["aborts"] = Aborts()  # type: ignore[assignment]
        atexit.register((self.folder / f"{rank_and_ranks()[0]}").touch)


class Left(Line):
    """Whoever started the ranks is killed at their third step."""

    def batch(self, turn: Turn) -> Tensor:
        if turn.step == 2 and rank_and_ranks()[0] == 0:
            os.kill(os.getppid(), signal.SIGKILL)
        return super().batch(turn)


class Stopped(Line):
    """The whole run is asked to stop at its third step."""

    def batch(self, turn: Turn) -> Tensor:
        if turn.step == 2 and rank_and_ranks()[0] == 0:
            os.kill(os.getppid(), signal.SIGTERM)
        return super().batch(turn)


def test_two_ranks_that_are_stopped_go_on_to_the_same_weights(tmp_path: Path) -> None:
    launch(Line, CONFIG, tmp_path / "whole", {"what": "a line"})
    assert (tmp_path / "whole" / "finished").exists()
    said = json.loads((tmp_path / "whole" / "config.json").read_text())
    assert said["task"] == {"what": "a line"}
    assert said["loop"]["ranks"] == 2
    launch(Stopped, CONFIG, tmp_path / "halves", {})
    step = torch.load(tmp_path / "halves" / "checkpoint.pt", weights_only=True)["step"]
    assert 3 <= step < CONFIG.steps
    assert not (tmp_path / "halves" / "finished").exists()
    launch(Line, CONFIG, tmp_path / "halves", {})
    whole, halves = (load_file(tmp_path / name / "ema.safetensors") for name in ("whole", "halves"))
    for name, value in whole.items():
        assert torch.equal(halves[name], value), name


@pytest.mark.parametrize(
    ("task", "said"), [(Failing, "the second rank has had enough; then run"), (Killed, "rank 1 was ended from outside")]
)
def test_a_rank_that_is_lost_ends_the_run_in_one_line(tmp_path: Path, task: type[Line], said: str) -> None:
    with pytest.raises(TrainingError, match=said) as caught:
        launch(task, CONFIG, tmp_path, {})
    assert "\n" not in str(caught.value)
    assert "run the same command again" in str(caught.value)
    launch(Line, CONFIG, tmp_path, {})
    assert (tmp_path / "finished").exists()


def test_what_all_ranks_refuse_is_said_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(TrainingError, match=r"^these weights are of another network; then run the same command again"):
        launch(Refused, CONFIG, tmp_path, {})
    printed = capfd.readouterr()
    assert printed.out + printed.err == ""


def test_ranks_whose_launcher_is_killed_save_and_end(tmp_path: Path) -> None:
    endless = replace(CONFIG, steps=10_000_000)
    launcher = get_context("spawn").Process(target=launch, args=(Left, endless, tmp_path, {}))
    launcher.start()
    launcher.join(300)
    assert launcher.exitcode == -signal.SIGKILL
    until = time.monotonic() + 60
    while not (tmp_path / "checkpoint.pt").exists():
        assert time.monotonic() < until, "the ranks train for ever"
        time.sleep(0.1)
    launch(Line, replace(CONFIG, steps=1), tmp_path, {})
    assert (tmp_path / "finished").exists(), "it can be gone on with"


def test_what_happens_in_the_interpreters_teardown_does_not_lose_a_run(tmp_path: Path) -> None:
    """Gloo's threads may abort it."""
    launch(partial(Aborting, folder=tmp_path), replace(CONFIG, ranks=2), tmp_path, {})
    assert (tmp_path / "finished").exists()
    assert (tmp_path / "0").exists()
    assert (tmp_path / "1").exists()


def test_a_folder_is_one_runs(tmp_path: Path) -> None:
    with locked(tmp_path / ".lock"), pytest.raises(TrainingError, match="another run trains in"):
        launch(Line, CONFIG, tmp_path, {})
    launch(Line, replace(CONFIG, ranks=1), tmp_path, {})
    assert (tmp_path / "finished").exists()
    assert not (tmp_path / ".lock").exists()


def test_a_device_that_is_not_there_is_refused_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(BackendError, match="no GPU here"):
        launch(Line, LoopConfig(steps=1, lr=0.1, device="cuda"), tmp_path / "run", {})
    assert not (tmp_path / "run").exists()
