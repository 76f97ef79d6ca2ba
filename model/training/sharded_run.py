"""The loop of networks that are spread over the ranks: several learn by turns, each with its own AdamW.

The batch of a step has a fixed number of members, whatever the number of ranks, and each member's data and noise come
from its own number. So a run goes on to the same weights with another number of ranks, but for the order of sums.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed

from longtake.model.bounds import at_least, positive
from longtake.model.errors import ConfigError
from longtake.model.network.transformer import Transformer
from longtake.model.training.compute import rank_and_ranks
from longtake.model.training.pace import Loop, PaceConfig
from longtake.model.training.sharded_checkpoint import Learner, load_checkpoint, newest, save_checkpoint
from longtake.model.training.sharding import Averages, clip_gradients, leave_mesh
from longtake.model.training.task import Turn


@dataclass(frozen=True, kw_only=True)
class AdamWConfig:
    """AdamW as LongLive trains with it."""

    lr: float
    betas: tuple[float, float] = (0.0, 0.999)
    eps: float = 1e-8
    weight_decay: float = 0.01

    def __post_init__(self) -> None:
        positive(self, "lr", "eps")
        at_least(self, 0, "weight_decay")
        if not all(0 <= beta < 1 for beta in self.betas) or len(self.betas) != 2:
            raise ConfigError(f"betas are two shares, 0 to below 1, not {self.betas}")

    def optimizer(self, module: Transformer) -> torch.optim.AdamW:
        """Return the optimiser of a module's trained parameters."""
        trained = [p for p in module.parameters() if p.requires_grad]
        return torch.optim.AdamW(trained, self.lr, self.betas, self.eps, self.weight_decay)


@dataclass(frozen=True, kw_only=True)
class ShardedConfig(PaceConfig):
    """Pace of a run of spread networks, and what its updates have in common."""

    members: int = 8
    """Members of a step's batch over all ranks; a rank computes its own one after the other."""
    max_norm: float = 10.0
    """Each network's gradients are clipped to this norm."""
    ema_start: int = 200
    """The average is a copy of the weights until this step."""

    def __post_init__(self) -> None:
        super().__post_init__()
        positive(self, "max_norm")
        at_least(self, 0, "ema_start")
        if self.members < 1 or self.members % self.ranks:
            raise ConfigError(f"{self.ranks} ranks cannot share the {self.members} members of a batch; set members")


class ShardedTask(ABC):
    """Networks and how they learn."""

    learners: Mapping[str, Learner]
    """by name"""

    @abstractmethod
    def learning(self, step: int) -> Sequence[str]:
        """Return the names of the networks that learn in a step, in order."""

    @abstractmethod
    def loss(self, name: str, member: int, turn: Turn) -> Tensor:
        """Return a member's loss for a network; its random choices come from `turn.shared_rng` and its number."""

    @abstractmethod
    def member_state(self, member: int) -> dict[str, Any]:
        """Return what else a member goes on from: plain values and tensors."""

    @abstractmethod
    def restore_member(self, member: int, state: dict[str, Any]) -> None:
        """Take back what `member_state` returned."""

    @abstractmethod
    def export(self, folder: Path, step: int) -> None:
        """Write weights for use, and samples; called on all ranks at checkpoints."""

    @abstractmethod
    def prepare(self) -> None:
        """Get ready for the first step; called once the checkpoint is loaded."""

    def close(self) -> None:
        """Give back processes and files."""
        leave_mesh()


class ShardedRun(Loop):
    """See the module.

    Args:
        task: what learns.
        config: how.
        folder: of the run.
        rank: of this process.
    """

    def __init__(self, task: ShardedTask, config: ShardedConfig, folder: Path, rank: int = 0) -> None:
        super().__init__(config, folder, rank)
        self.task, self.config = task, config
        _, ranks = rank_and_ranks()
        self.members = range(rank, config.members, ranks)

    def resume(self) -> bool:
        """See `Loop`."""
        path = newest(self.folder)
        if path is None:
            return False
        counters, states = load_checkpoint(path, self.task.learners, self.members)
        self.step, self.trained_s = int(counters["step"]), float(counters["trained_s"])
        for member, state in states.items():
            self.task.restore_member(member, state)
        return True

    def update(self, turn: Turn) -> dict[str, float | Tensor]:
        """See `Loop`. All gradients are taken before any network moves."""
        names = self.task.learning(self.step)
        figures: dict[str, float | Tensor] = {}
        for name in names:
            total: Tensor | float = 0.0
            for member in self.members:
                # Every member gets the step's draws from the start, so that none depends on who came before.
                own = Turn.at(turn.step, seed=self.config.seed, rank=member, progress=turn.progress)
                loss = self.task.loss(name, member, own) / len(self.members)
                loss.backward()
                total = total + loss.detach().float()
            figures[f"{name}_loss"] = total
        for name in names:
            learner = self.task.learners[name]
            figures[f"{name}_grad"] = clip_gradients(learner.module.parameters(), self.config.max_norm)
        for name in names:
            learner = self.task.learners[name]
            learner.optimizer.step()
            learner.optimizer.zero_grad(set_to_none=True)
            if learner.averages is not None:
                learner.averages.update(started=self.step >= self.config.ema_start)
        self.step += 1
        return figures

    def checkpoint(self) -> None:
        """See `Loop`."""
        counters = {"step": self.step, "trained_s": self.trained_s, "members": self.config.members}
        members = {member: self.task.member_state(member) for member in self.members}
        save_checkpoint(self.folder, self.task.learners, counters, members)
        self.task.export(self.folder, self.step)
        distributed.barrier()


def learner(module: Transformer, config: AdamWConfig, *, ema: float | None = None) -> Learner:
    """Return a spread module with its optimiser, and its average if `ema`, the share that stays, is given."""
    averages = None if ema is None else Averages(module, ema)
    return Learner(module=module, optimizer=config.optimizer(module), averages=averages)
