"""Muon for matrices and convolution kernels, AdamW for the rest, with the orthogonalisation shared among ranks.

Muon (Jordan et al., 2024, kellerjordan.github.io/posts/muon) replaces a matrix's momentum by the nearest
orthogonal matrix, found with five Newton-Schulz steps. `torch.optim.Muon` takes matrices only and repeats the work
on every rank; here kernels are flattened to matrices and each rank does its share.
"""

from collections.abc import Iterable

import torch
from torch import Tensor, distributed, nn

from longtake.model.ops.precision import cpu_multiplies

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # quintic iteration, from the page cited above


def orthogonalise(matrix: Tensor, steps: int = 5) -> Tensor:
    """[rows, columns] float -> the same shape with singular values near 1."""
    a, b, c = _COEFFICIENTS
    x = matrix.to(torch.bfloat16 if cpu_multiplies(torch.bfloat16) else torch.float32)
    tall = x.shape[0] > x.shape[1]
    x = x.T if tall else x
    x = x / (x.norm() + 1e-7)
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    result: Tensor = x.T if tall else x
    return result.to(matrix.dtype)


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised, scaled so that one learning rate fits every shape."""

    def __init__(self, params: Iterable[Tensor], *, lr: float, momentum: float = 0.95, weight_decay: float = 0.0):
        super().__init__(list(params), {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update from the gradients; every rank must hold the same ones."""
        rank, world = _rank_and_world()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            updates = [self._update(p, group["momentum"], mine=i % world == rank) for i, p in enumerate(params)]
            if world > 1:
                flat = torch.cat([u.flatten() for u in updates])
                distributed.all_reduce(flat)  # the other ranks' updates are zeros here
                updates = [u.view_as(p) for u, p in zip(flat.split([p.numel() for p in params]), params, strict=True)]
            for p, update in zip(params, updates, strict=True):
                p.mul_(1 - group["lr"] * group["weight_decay"])
                p.add_(update.view_as(p), alpha=-group["lr"])

    def _update(self, p: Tensor, momentum: float, *, mine: bool) -> Tensor:
        state = self.state[p]
        if "buffer" not in state:
            state["buffer"] = torch.zeros_like(p)
        assert p.grad is not None
        state["buffer"].lerp_(p.grad, 1 - momentum)
        if not mine:
            return torch.zeros_like(p)
        matrix = p.grad.lerp(state["buffer"], momentum).flatten(1)
        scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
        return orthogonalise(matrix).mul_(scale).view_as(p)


def _rank_and_world() -> tuple[int, int]:
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


class Optimizers:
    """Muon on hidden matrices, AdamW on embeddings, heads, biases and gains; one schedule for both."""

    def __init__(
        self, module: nn.Module, *, lr: float, adam_lr: float, weight_decay: float, adam_names: tuple[str, ...]
    ):
        named = [(n, p) for n, p in module.named_parameters() if p.requires_grad]
        small = [p for n, p in named if p.ndim < 2 or any(part in n for part in adam_names)]
        chosen = {id(p) for p in small}
        matrices = [p for _, p in named if id(p) not in chosen]
        self.parts: list[torch.optim.Optimizer] = [
            Muon(matrices, lr=lr, weight_decay=weight_decay),
            torch.optim.AdamW(small, lr=adam_lr, betas=(0.9, 0.98), weight_decay=0.0),
        ]
        self._base = [[group["lr"] for group in part.param_groups] for part in self.parts]

    def step(self, factor: float) -> None:
        """One update with every learning rate multiplied by `factor`."""
        for part, bases in zip(self.parts, self._base, strict=True):
            for group, base in zip(part.param_groups, bases, strict=True):
                group["lr"] = base * factor
            part.step()

    def state_dict(self) -> list[dict[str, object]]:
        """For a resumable checkpoint."""
        return [part.state_dict() for part in self.parts]

    def load_state_dict(self, states: list[dict[str, object]]) -> None:
        """The inverse of `state_dict`."""
        for part, state in zip(self.parts, states, strict=True):
            part.load_state_dict(state)
