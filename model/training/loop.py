"""The training loop shared by diorama's parts: two single-threaded ranks, averaged gradients, EMA, logs, resume.

Two processes with one thread each beat one process with two threads on small operations, and degrade gracefully
when something else wants a core. A run lives in one folder: `config.json`, `log.jsonl`, `checkpoint.pt`
(resumable) and `ema.safetensors` (averaged weights, the ones to use).
"""

import json
import logging
import math
import os
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors.torch import save_file
from torch import Tensor, distributed, nn
from torch.multiprocessing.spawn import spawn

from longtake.model.training.optimizer import Optimizers

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """How long and how fast to train."""

    steps: int
    lr: float
    """Muon's step size"""
    adam_lr: float = 0.002
    weight_decay: float = 0.0
    warmup_steps: int = 50
    decay_fraction: float = 0.3
    """the last part of the run, over which the step size falls linearly to zero"""
    ema: float = 0.999
    checkpoint_every_s: float = 120.0
    log_every: int = 20
    adam_names: tuple[str, ...] = ()
    """parameters whose name contains one of these go to AdamW although they are matrices"""
    seed: int = 0
    ranks: int = 2
    hours: float = 0.0
    """if set, the schedule follows the clock: training ends after this many hours, whatever the steps"""


class Task(Protocol):
    """What a run trains: a module and its loss."""

    module: nn.Module

    def batches(self, rank: int, ranks: int, seed: int) -> Iterator[Any]:
        """An endless stream of this rank's batches."""

    def loss(self, batch: Any, progress: float) -> tuple[Tensor, dict[str, float]]:
        """Scalar loss, and figures for the log. `progress` runs from 0 to 1."""

    def collect_gradients(self) -> None:
        """Called after each backward: the place to bring gradients from a working copy into `module`."""

    def evaluate(self, module: nn.Module) -> dict[str, float]:
        """Held-out figures with the averaged weights; called on rank 0 at each checkpoint."""


def schedule_factor(progress: float, step: int, config: LoopConfig) -> float:
    """Warm-up, constant, then linear decay over the last `decay_fraction`."""
    warm = min(1.0, (step + 1) / config.warmup_steps)
    return warm * min(1.0, max(0.0, (1 - progress) / config.decay_fraction))


class Run:
    """One rank of one run."""

    def __init__(self, task: Task, config: LoopConfig, folder: Path, rank: int) -> None:
        self.task, self.config, self.folder, self.rank = task, config, folder, rank
        self.optimizers = Optimizers(
            task.module,
            lr=config.lr,
            adam_lr=config.adam_lr,
            weight_decay=config.weight_decay,
            adam_names=config.adam_names,
        )
        self.ema = {k: v.detach().clone().float() for k, v in task.module.state_dict().items()}
        self.step = 0
        self.trained_s = 0.0
        self.stopping = False
        self.progress = 0.0
        """0 at the start, 1 at the end; the same on every rank, or their weights would part"""
        self._last_saved = 0.0
        self._time_to_save = False

    def resume(self) -> bool:
        """Load the folder's checkpoint if there is one."""
        path = self.folder / "checkpoint.pt"
        if not path.exists():
            return False
        saved = torch.load(path, weights_only=True, map_location="cpu")
        self.task.module.load_state_dict(saved["module"])
        self.optimizers.load_state_dict(saved["optimizers"])
        self.ema, self.step, self.trained_s = saved["ema"], saved["step"], saved["trained_s"]
        return True

    def save(self) -> None:
        """Write checkpoint and averaged weights, each replaced at once."""
        state = {
            "module": self.task.module.state_dict(),
            "optimizers": self.optimizers.state_dict(),
            "ema": self.ema,
            "step": self.step,
            "trained_s": self.trained_s,
        }
        torch.save(state, self.folder / "checkpoint.tmp")
        os.replace(self.folder / "checkpoint.tmp", self.folder / "checkpoint.pt")
        save_file({k: v.contiguous() for k, v in self.ema.items()}, self.folder / "ema.tmp")
        os.replace(self.folder / "ema.tmp", self.folder / "ema.safetensors")

    def train(self) -> None:
        """Run until the end of the schedule or a stop signal."""
        signal.signal(signal.SIGTERM, self._ask_to_stop)
        signal.signal(signal.SIGINT, self._ask_to_stop)
        batches = self.task.batches(self.rank, self.config.ranks, self.config.seed + self.step)
        self._last_saved = time.monotonic()
        figures: dict[str, list[float]] = {}
        while not self._agree():
            began = time.monotonic()
            for name, value in self._update(next(batches)).items():
                figures.setdefault(name, []).append(value)
            self.trained_s += time.monotonic() - began
            if self.rank == 0 and self.step % self.config.log_every == 0:
                self._log({k: sum(v) / len(v) for k, v in figures.items()}, time.monotonic() - began)
                figures.clear()
            if self._time_to_save:
                self._checkpoint()
                self._last_saved = time.monotonic()
        self._checkpoint()

    def _update(self, batch: Any) -> dict[str, float]:
        loss, figures = self.task.loss(batch, self.progress)
        loss.backward()
        self.task.collect_gradients()
        self._average_gradients()
        norm = nn.utils.clip_grad_norm_(self.task.module.parameters(), 10.0)
        if math.isfinite(float(norm)):
            self.optimizers.step(schedule_factor(self.progress, self.step, self.config))
        for p in self.task.module.parameters():
            p.grad = None
        self.step += 1
        self._average_weights()
        return {"loss": float(loss.detach()), "grad": float(norm), **figures}

    def _average_gradients(self) -> None:
        if self.config.ranks == 1:
            return
        grads = [p.grad for p in self.task.module.parameters() if p.grad is not None]
        flat = torch.cat([g.flatten() for g in grads])
        distributed.all_reduce(flat)
        flat /= self.config.ranks
        for grad, piece in zip(grads, flat.split([g.numel() for g in grads]), strict=True):
            grad.copy_(piece.view_as(grad))

    @torch.no_grad()
    def _average_weights(self) -> None:
        if self.rank != 0:
            return
        decay = min(self.config.ema, (1 + self.step) / (10 + self.step))
        for name, value in self.task.module.state_dict().items():
            if value.is_floating_point():
                self.ema[name].lerp_(value.float(), 1 - decay)
            else:
                self.ema[name] = value.clone()

    def _own_progress(self) -> float:
        if self.config.hours:
            return min(1.0, self.trained_s / (self.config.hours * 3600))
        return self.step / self.config.steps

    def _agree(self) -> bool:
        """Agree on progress, on saving and on stopping, so that no rank waits for one that does something else."""
        save = time.monotonic() - self._last_saved > self.config.checkpoint_every_s
        agreed = torch.tensor([float(self.stopping), float(save), self._own_progress()], dtype=torch.float64)
        if self.config.ranks > 1:
            distributed.all_reduce(agreed, op=distributed.ReduceOp.MAX)
        self._time_to_save = bool(agreed[1] > 0)
        self.progress = float(agreed[2])
        return bool(agreed[0] > 0) or self.progress >= 1

    def _ask_to_stop(self, *_: object) -> None:
        self.stopping = True

    def _checkpoint(self) -> None:
        if self.rank == 0:
            self.save()
            kept = {k: v.clone() for k, v in self.task.module.state_dict().items()}
            self.task.module.load_state_dict(self.ema)
            self.task.module.eval()
            with torch.inference_mode():
                figures = self.task.evaluate(self.task.module)
            self.task.module.train()
            self.task.module.load_state_dict(kept)
            self._log({f"eval_{k}": v for k, v in figures.items()}, 0.0)
        if self.config.ranks > 1:
            distributed.barrier()

    def _log(self, figures: dict[str, float], step_s: float) -> None:
        row = {"step": self.step, "hours": round(self.trained_s / 3600, 4), "step_s": round(step_s, 3)}
        row |= {k: round(v, 5) for k, v in figures.items()}
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(json.dumps(row) + "\n")
        log.info("%s", row)


def _rank_main(rank: int, make: Callable[[], Task], config: LoopConfig, folder: Path, port: int) -> None:
    logging.basicConfig(level=logging.INFO if rank == 0 else logging.WARNING, format="%(asctime)s %(message)s")
    torch.set_num_threads(1)
    if config.ranks > 1:
        address = f"tcp://127.0.0.1:{port}"
        distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=config.ranks)
    torch.manual_seed(config.seed)
    run = Run(make(), config, folder, rank)
    resumed = run.resume()
    log.info("rank %d %s at step %d", rank, "resumes" if resumed else "starts", run.step)
    torch.manual_seed(config.seed * 7919 + run.step * 2 + rank + 1)
    run.train()
    if config.ranks > 1:
        distributed.destroy_process_group()


def launch(make: Callable[[], Task], config: LoopConfig, folder: Path, described: object, port: int = 29517) -> None:
    """Train with `config.ranks` processes; `make` builds the task in each. `described` goes into config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"loop": asdict(config), "task": described}, indent=1, default=str)
    (folder / "config.json").write_text(text)
    if config.ranks == 1:
        _rank_main(0, make, config, folder, port)
    else:
        spawn(_rank_main, (make, config, folder, port), nprocs=config.ranks)
