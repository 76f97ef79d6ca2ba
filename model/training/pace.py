"""The pace of a run: steps until the schedule ends or a signal asks to stop, with logs and checkpoints on the way.

What a step does, and what is saved, is the business of those who inherit: `loop.Run` trains one module that every rank
holds whole, `sharded_run.ShardedRun` several networks that are spread over the ranks.
"""

import json
import logging
import multiprocessing
import signal
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import torch
from torch import Tensor, distributed
from tqdm import tqdm

from longtake.model.bounds import at_least, positive
from longtake.model.errors import BackendError
from longtake.model.training.files import append_line, write_whole
from longtake.model.training.task import Turn

log = logging.getLogger(__name__)

LOG: Final = "log.jsonl"
FINISHED: Final = "finished"
"""there once the schedule has ended, and not if a signal has stopped it"""
_BAR: Final = "{desc}: {percentage:3.0f}%|{bar}| {elapsed} {postfix}"


@dataclass(frozen=True, kw_only=True)
class PaceConfig:
    """How long a run is and how often it says something."""

    steps: int
    checkpoint_every_s: float = 120.0
    log_every: int = 20
    seed: int = 0
    ranks: int = 2
    """processes; 1 on a GPU, and under torchrun as many as it starts"""
    device: str = "cpu"
    """auto, cpu or cuda"""
    hours: float = 0.0
    """if set, the schedule follows the clock: training ends after this many hours, whatever the steps"""
    tensorboard: bool = False
    """Whether figures also go to TensorBoard's files, in `tensorboard/`."""

    def __post_init__(self) -> None:
        at_least(self, 1, "steps", "log_every", "ranks")
        at_least(self, 0, "seed", "hours")
        positive(self, "checkpoint_every_s")


class Loop(ABC):
    """One rank of one run.

    Args:
        config: of the run.
        folder: of the run.
        rank: of this process.

    Attributes:
        step: steps done.
        trained_s: wall-clock seconds spent in `train`, over all the times that the run was resumed.
        stopping: whether this rank wants to stop after the step.
        progress: 0 at the start, 1 at the end; the same on every rank, or their weights would part.
    """

    def __init__(self, config: PaceConfig, folder: Path, rank: int) -> None:
        self.pace, self.folder, self.rank = config, folder, rank
        self.step = 0
        self.trained_s = 0.0
        self.stopping = False
        self.progress = 0.0
        self._last_saved = 0.0
        self._time_to_save = False
        self._board: Board | None = None

    @abstractmethod
    def resume(self) -> bool:
        """Load the folder's checkpoint if there is one; raises TrainingError if it is of another run."""

    @abstractmethod
    def update(self, turn: Turn) -> Mapping[str, float | Tensor]:
        """Take one step, count it, and return figures for the log."""

    @abstractmethod
    def checkpoint(self) -> None:
        """Save, on all ranks; raises TrainingError if that cannot be done."""

    def train(self) -> None:
        """Run until the end of the schedule or a stop signal."""
        signal.signal(signal.SIGTERM, self._ask_to_stop)
        signal.signal(signal.SIGINT, self._ask_to_stop)
        if self.pace.tensorboard and self.rank == 0:
            # Now, so that a missing package is said before the first step.
            self._board = open_board(self.folder / "tensorboard")
        began = self._last_saved = time.monotonic()
        spent_before = self.trained_s
        figures: dict[str, list[float | Tensor]] = {}
        hidden = None if self.rank == 0 else True
        with tqdm(desc=self.folder.name, total=1000, disable=hidden, bar_format=_BAR) as bar:
            while not self._agree():
                turn = Turn.at(self.step, seed=self.pace.seed, rank=self.rank, progress=self.progress)
                for name, value in self.update(turn).items():
                    figures.setdefault(name, []).append(value)
                self.trained_s = spent_before + time.monotonic() - began
                if self.rank == 0 and self.step % self.pace.log_every == 0:
                    self.log(_means(figures))
                    figures.clear()
                    bar.set_postfix_str(f"step {self.step}", refresh=False)
                    bar.update(round(1000 * self.progress) - bar.n)
                if self._time_to_save:
                    self.checkpoint()
                    self._last_saved = time.monotonic()
                    self.trained_s = spent_before + time.monotonic() - began
        if self.rank == 0 and figures:
            self.log(_means(figures))
        self.checkpoint()
        if self.rank == 0 and self.progress >= 1:
            write_whole(self.folder / FINISHED, Path.touch)

    def log(self, figures: Mapping[str, float]) -> None:
        """Append a line to the log, and its figures to TensorBoard's if that is asked for."""
        row: dict[str, float] = {"step": self.step, "hours": round(self.trained_s / 3600, 4)}
        if self.step:
            row["step_s"] = round(self.trained_s / self.step, 3)
        row |= {k: round(v, 5) for k, v in figures.items()}
        append_line(self.folder / LOG, json.dumps(row))
        log.info("%s", row)
        if self._board is not None:
            for name, value in figures.items():
                self._board.add_scalar(name, value, self.step)
            self._board.flush()

    def _own_progress(self) -> float:
        if self.pace.hours:
            return min(1.0, self.trained_s / (self.pace.hours * 3600))
        return self.step / self.pace.steps

    def _agree(self) -> bool:
        """Agree on progress, on saving and on stopping, so that no rank waits for one that does something else."""
        save = time.monotonic() - self._last_saved > self.pace.checkpoint_every_s
        stopping = self.stopping or orphaned()
        agreed = torch.tensor([float(stopping), float(save), self._own_progress()], dtype=torch.float64)
        if self.pace.ranks > 1:
            distributed.all_reduce(agreed, op=distributed.ReduceOp.MAX)
        self._time_to_save = bool(agreed[1] > 0)
        self.progress = float(agreed[2])
        return bool(agreed[0] > 0) or self.progress >= 1

    def _ask_to_stop(self, *_: object) -> None:
        self.stopping = True


def orphaned() -> bool:
    """Whether this is a rank whose launcher was killed: nobody would stop it."""
    parent = multiprocessing.parent_process()
    return parent is not None and not parent.is_alive()


class Board(Protocol):
    """What is used of TensorBoard's writer."""

    def add_scalar(self, tag: str, scalar_value: float, global_step: int) -> None:
        """Write a figure."""
        ...

    def flush(self) -> None:
        """Put what was written on disk."""
        ...


def open_board(folder: Path) -> Board:
    """Open TensorBoard's files in a folder; raises BackendError if it is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        raise BackendError("tensorboard=true needs TensorBoard: pip install 'longtake[tensorboard]'") from None
    board: Board = SummaryWriter(str(folder))
    return board


def _means(figures: Mapping[str, list[float | Tensor]]) -> dict[str, float]:
    """Average what was gathered since the last line of the log; only here does the host wait for the device."""
    return {k: float(torch.stack([torch.as_tensor(x) for x in v]).double().mean()) for k, v in figures.items()}
