"""The training loop that all parts share: averaged gradients, averaged weights, logs, checkpoints, exact resume.

A run lives in one folder: `config.json`, `log.jsonl`, `checkpoint.pt` (resumable) and `ema.safetensors` (averaged
weights, the ones to use). One process drives a GPU; on a CPU two single-threaded ones share the work, which beats
one process with two threads on small operations, and degrades gracefully when something else wants a core.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Generic

import torch
from safetensors.torch import save_file
from torch import Tensor, distributed, nn

from longtake.model.bounds import at_least, part, positive, share
from longtake.model.errors import TrainingError
from longtake.model.training.files import write_whole
from longtake.model.training.optimizer import Optimizers
from longtake.model.training.pace import Loop, PaceConfig
from longtake.model.training.task import Batch, Task, Turn

CHECKPOINT: Final = "checkpoint.pt"
WEIGHTS: Final = "ema.safetensors"
MAX_NORM: Final = 10.0
"""gradients are clipped to this norm"""


@dataclass(frozen=True, kw_only=True)
class LoopConfig(PaceConfig):
    """How long and how fast to train."""

    lr: float
    """Muon's step size"""
    adam_lr: float = 0.002
    weight_decay: float = 0.0
    warmup_steps: int = 50
    decay_fraction: float = 0.3
    """the last part of the run, over which the step size falls linearly to zero"""
    ema: float = 0.999
    adam_names: tuple[str, ...] = ()
    """parameters whose name contains one of these go to AdamW although they are matrices"""

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self, "lr", "adam_lr", "decay_fraction")
        at_least(self, 0, "weight_decay")
        at_least(self, 1, "warmup_steps")
        share(self, "decay_fraction")
        part(self, "ema")


def schedule_factor(progress: float, step: int, config: LoopConfig) -> float:
    """Warm-up, constant, then linear decay over the last `decay_fraction`."""
    warm = min(1.0, (step + 1) / config.warmup_steps)
    return warm * min(1.0, max(0.0, (1 - progress) / config.decay_fraction))


class Run(Loop, Generic[Batch]):
    """One rank of one run."""

    def __init__(self, task: Task[Batch], config: LoopConfig, folder: Path, rank: int = 0) -> None:
        super().__init__(config, folder, rank)
        self.task, self.config = task, config
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
        write_whole(self.folder / WEIGHTS, lambda path: save_file(weights, path, self.task.said()))

    def update(self, turn: Turn) -> dict[str, float | Tensor]:
        """See `Loop`."""
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

    def checkpoint(self) -> None:
        """See `Loop`; also logs held-out figures."""
        if self.rank == 0:
            self.save()
            self.log({f"eval_{k}": v for k, v in self._evaluate().items()})
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
