"""The training loop that all parts share: averaged gradients, averaged weights, logs, checkpoints, exact resume.

A run lives in one folder: `config.json`, `log.jsonl`, `checkpoint.pt` (resumable) and `ema.safetensors` (averaged
weights, the ones to use). One process drives a GPU; on a CPU two single-threaded ones share the work, which beats
one process with two threads on small operations, and degrades gracefully when something else wants a core.
"""

import json
import logging
import signal
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Generic

import torch
from safetensors.torch import save_file
from torch import Tensor, distributed, nn
from tqdm import tqdm

from longtake.model.errors import TrainingError
from longtake.model.training.files import append_line, write_whole
from longtake.model.training.optimizer import Optimizers
from longtake.model.training.task import Batch, Task, Turn

log = logging.getLogger(__name__)

CHECKPOINT: Final = "checkpoint.pt"
WEIGHTS: Final = "ema.safetensors"
LOG: Final = "log.jsonl"
FINISHED: Final = "finished"
"""there once the schedule has ended, and not if a signal has stopped it"""
MAX_NORM: Final = 10.0
"""gradients are clipped to this norm"""


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
    """processes; 1 on a GPU"""
    device: str = "cpu"
    """auto, cpu or cuda"""
    hours: float = 0.0
    """if set, the schedule follows the clock: training ends after this many hours, whatever the steps"""


def schedule_factor(progress: float, step: int, config: LoopConfig) -> float:
    """Warm-up, constant, then linear decay over the last `decay_fraction`."""
    warm = min(1.0, (step + 1) / config.warmup_steps)
    return warm * min(1.0, max(0.0, (1 - progress) / config.decay_fraction))


class Run(Generic[Batch]):
    """One rank of one run."""

    def __init__(self, task: Task[Batch], config: LoopConfig, folder: Path, rank: int = 0) -> None:
        self.task, self.config, self.folder, self.rank = task, config, folder, rank
        self.optimizers = Optimizers(
            task.module,
            lr=config.lr,
            adam_lr=config.adam_lr,
            weight_decay=config.weight_decay,
            adam_names=config.adam_names,
        )
        self.ema = {
            k: v.detach().clone().float() if v.is_floating_point() else v.detach().clone()
            for k, v in task.module.state_dict().items()
        }
        self.step = 0
        self.trained_s = 0.0
        """wall-clock seconds spent in `train`, over all the times that the run was resumed"""
        self.stopping = False
        self.progress = 0.0
        """0 at the start, 1 at the end; the same on every rank, or their weights would part"""
        self._last_saved = 0.0
        self._time_to_save = False

    def resume(self) -> bool:
        """Load the folder's checkpoint if there is one.

        Raises:
            TrainingError: the checkpoint cannot be read, or belongs to another model.
        """
        path = self.folder / CHECKPOINT
        if not path.exists():
            return False
        try:
            saved = torch.load(path, weights_only=True, map_location="cpu")
            self.task.module.load_state_dict(saved["module"])
            self.optimizers.load_state_dict(saved["optimizers"])
            for name, value in saved["ema"].items():
                self.ema[name].copy_(value)
            self.step, self.trained_s = saved["step"], saved["trained_s"]
            self.task.restore(saved["task"])
        except (RuntimeError, KeyError, ValueError, OSError) as error:
            reason = (str(error).splitlines() or ["it cannot be read"])[0]
            raise TrainingError(f"{path} is no checkpoint of this run ({reason}); choose another folder") from error
        return True

    def save(self) -> None:
        """Write checkpoint and averaged weights, each replaced at once; raises TrainingError if they cannot be."""
        state = {
            "module": self.task.module.state_dict(),
            "optimizers": self.optimizers.state_dict(),
            "ema": self.ema,
            "step": self.step,
            "trained_s": self.trained_s,
            "task": self.task.state(),
        }
        weights = {k: v.cpu().contiguous() for k, v in self.ema.items()}
        write_whole(self.folder / CHECKPOINT, lambda path: torch.save(state, path))
        write_whole(self.folder / WEIGHTS, lambda path: save_file(weights, path))

    def train(self) -> None:
        """Run until the end of the schedule or a stop signal."""
        signal.signal(signal.SIGTERM, self._ask_to_stop)
        signal.signal(signal.SIGINT, self._ask_to_stop)
        began = self._last_saved = time.monotonic()
        spent_before = self.trained_s
        figures: dict[str, list[float | Tensor]] = {}
        hidden = None if self.rank == 0 else True
        with tqdm(desc=self.folder.name, total=1000, disable=hidden, bar_format=_BAR) as bar:
            while not self._agree():
                turn = Turn.at(self.step, seed=self.config.seed, rank=self.rank, progress=self.progress)
                for name, value in self._update(turn).items():
                    figures.setdefault(name, []).append(value)
                self.trained_s = spent_before + time.monotonic() - began
                if self.rank == 0 and self.step % self.config.log_every == 0:
                    self._log(_means(figures))
                    figures.clear()
                    bar.set_postfix_str(f"step {self.step}", refresh=False)
                    bar.update(round(1000 * self.progress) - bar.n)
                if self._time_to_save:
                    self._checkpoint()
                    self._last_saved = time.monotonic()
                    self.trained_s = spent_before + time.monotonic() - began
        self._checkpoint()
        if self.rank == 0 and self.progress >= 1:
            write_whole(self.folder / FINISHED, Path.touch)

    def _update(self, turn: Turn) -> dict[str, float | Tensor]:
        batch = self.task.batch(turn)
        turn.seed_torch()
        loss, figures = self.task.loss(batch, turn.progress)
        loss.backward()
        self.task.collect_gradients()
        self._average_gradients()
        norm = self._clip()
        self.optimizers.step(schedule_factor(turn.progress, self.step, self.config))
        for p in self.task.module.parameters():
            p.grad = None
        self.step += 1
        self._average_weights()
        return {"loss": loss.detach(), "grad": norm, **figures}

    @torch.no_grad()
    def _clip(self) -> Tensor:
        """Clip the gradients' norm, without waiting for the device; if it is not finite they become zero."""
        grads = [p.grad for p in self.task.module.parameters() if p.grad is not None]
        norm = nn.utils.get_total_norm(grads)
        scale = torch.where(norm.isfinite(), (MAX_NORM / (norm + 1e-6)).clamp_max(1.0), torch.zeros_like(norm))
        torch._foreach_mul_(grads, scale)
        for grad in grads:
            grad.nan_to_num_(0.0, 0.0, 0.0)  # infinity times zero is not a number
        return norm

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
        averaged, current = [], []
        for name, value in self.task.module.state_dict().items():
            if value.is_floating_point():
                averaged.append(self.ema[name])
                current.append(value.float())
            else:
                self.ema[name].copy_(value)
        torch._foreach_lerp_(averaged, current, 1 - decay)

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
            self._log({f"eval_{k}": v for k, v in self._evaluate().items()})
        if self.config.ranks > 1:
            distributed.barrier()

    def _evaluate(self) -> dict[str, float]:
        """Held-out figures with the averaged weights in the module's place."""
        module = self.task.module
        kept = {k: v.clone() for k, v in module.state_dict().items()}
        module.load_state_dict(self.ema)
        module.eval()
        try:
            with torch.inference_mode():
                return self.task.evaluate(module)
        finally:
            module.train()
            module.load_state_dict(kept)

    def _log(self, figures: Mapping[str, float]) -> None:
        row: dict[str, Any] = {"step": self.step, "hours": round(self.trained_s / 3600, 4)}
        if self.step:
            row["step_s"] = round(self.trained_s / self.step, 3)
        row |= {k: round(v, 5) for k, v in figures.items()}
        append_line(self.folder / LOG, json.dumps(row))
        log.info("%s", row)


_BAR: Final = "{desc}: {percentage:3.0f}%|{bar}| {elapsed} {postfix}"


def _means(figures: Mapping[str, list[float | Tensor]]) -> dict[str, float]:
    """Average what was gathered since the last line of the log; only here does the host wait for the device."""
    return {k: float(torch.stack([torch.as_tensor(x) for x in v]).double().mean()) for k, v in figures.items()}
