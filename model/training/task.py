"""What the loop asks of a part that it trains."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

Batch = TypeVar("Batch")

Figures = Mapping[str, float | Tensor]
"""What goes into the log: numbers, or scalars that stay on their device until the log asks for them."""


@dataclass(frozen=True, kw_only=True)
class Turn:
    """One step of a run, as one rank sees it.

    All randomness of a step comes from its number, so a run that was stopped goes on as if nothing had happened.
    """

    step: int
    progress: float
    """0 at the start of the schedule, 1 at its end"""
    rng: np.random.Generator
    """differs from rank to rank"""
    shared_rng: np.random.Generator
    """draws the same on every rank"""

    @staticmethod
    def at(step: int, *, seed: int, rank: int = 0, progress: float = 0.0) -> "Turn":
        """Return the turn of a step."""
        return Turn(
            step=step,
            progress=progress,
            rng=np.random.default_rng((seed, step, rank + 1)),
            shared_rng=np.random.default_rng((seed, step, 0)),
        )

    def seed_torch(self) -> None:
        """Seed torch's own streams, those of GPUs included, from this rank's."""
        torch.manual_seed(int(self.rng.integers(2**62)))


class Task(ABC, Generic[Batch]):
    """A module and how to train it."""

    module: nn.Module
    """holds the parameters that the optimisers change; already on its device"""

    @abstractmethod
    def batch(self, turn: Turn) -> Batch:
        """Return this rank's data for a step, on the task's device; draws from the turn alone."""

    @abstractmethod
    def loss(self, batch: Batch, progress: float) -> tuple[Tensor, Figures]:
        """Return the scalar to minimise, and figures for the log."""

    def collect_gradients(self) -> None:
        """Bring gradients from a working copy into `module`; called after each backward."""

    def evaluate(self, module: nn.Module) -> dict[str, float]:
        """Return held-out figures of the averaged weights, which `module` holds; called on rank 0 at checkpoints."""
        return {}

    def said(self) -> dict[str, str]:
        """Return what the file of averaged weights says of its network."""
        return {}

    def state(self) -> dict[str, Any]:
        """Return what else a resumed run needs, such as the position in its data: plain values and tensors."""
        return {}

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `state` returned; every rank gets rank 0's."""

    def prepare(self) -> None:
        """Get ready for the first batch; called after `restore`, before the run's clock starts."""

    def close(self) -> None:
        """Give back processes and files."""
