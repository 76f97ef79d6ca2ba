"""Muon for matrices and convolution kernels, AdamW for the rest, with the orthogonalisation shared among ranks.

Muon (Jordan et al., 2024, kellerjordan.github.io/posts/muon) replaces a matrix's momentum by the nearest
orthogonal matrix, found with five Newton-Schulz steps. `torch.optim.Muon` takes matrices only and repeats the work
on every rank; here kernels are flattened to matrices and each rank does its share.
"""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, distributed, nn

from longtake.model.training.compute import rank_and_ranks, working_dtype

_COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # quintic iteration, from the page cited above


def orthogonalise(matrices: Tensor, steps: int = 5) -> Tensor:
    """Return matrices with singular values near 1: [..., rows, columns] float -> the same shape."""
    a, b, c = _COEFFICIENTS
    x = matrices.to(working_dtype(matrices.device))
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    result: Tensor = x.mT if tall else x
    return result.to(matrices.dtype)


class Muon(torch.optim.Optimizer):
    """Nesterov momentum, orthogonalised, scaled so that one learning rate fits every shape."""

    def __init__(self, params: Iterable[Tensor], *, lr: float, momentum: float = 0.95, weight_decay: float = 0.0):
        super().__init__(list(params), {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        """One update from the gradients; every rank must hold the same ones."""
        rank, world = rank_and_ranks()
        for group in self.param_groups:
            params = [p for p in group["params"] if p.grad is not None]
            updates = self._updates(params, group["momentum"], rank, world)
            if world > 1:
                flat = torch.cat([u.flatten() for u in updates])
                distributed.all_reduce(flat)  # the other ranks' updates are zeros here
                updates = [u.view_as(p) for u, p in zip(flat.split([p.numel() for p in params]), params, strict=True)]
            torch._foreach_mul_(params, 1 - group["lr"] * group["weight_decay"])
            torch._foreach_add_(params, updates, alpha=-group["lr"])

    def _updates(self, params: list[Tensor], momentum: float, rank: int, world: int) -> list[Tensor]:
        """Return the updates of this rank's share of the parameters, and zeros for the others."""
        grads: list[Tensor] = []
        buffers: list[Tensor] = []
        for p in params:
            assert p.grad is not None
            grads.append(p.grad)
            buffers.append(self.state[p].setdefault("buffer", torch.zeros_like(p)))
        torch._foreach_lerp_(buffers, grads, 1 - momentum)
        ahead = torch._foreach_lerp(grads, buffers, momentum)
        mine = range(rank, len(params), world)
        updates = [a if i in mine else torch.zeros_like(a) for i, a in enumerate(ahead)]
        for shape, places in _by_shape(ahead, mine).items():
            # One product for all matrices of a shape: a GPU waits for launches, not for the arithmetic.
            scale = max(1.0, shape[0] / shape[1]) ** 0.5
            for place, made in zip(
                places, orthogonalise(torch.stack([ahead[i].flatten(1) for i in places])), strict=True
            ):
                updates[place] = made.mul(scale).view_as(params[place])
        return updates


def _by_shape(tensors: Sequence[Tensor], places: Iterable[int]) -> dict[torch.Size, list[int]]:
    """Group tensors by their shape as matrices."""
    groups: dict[torch.Size, list[int]] = {}
    for place in places:
        groups.setdefault(tensors[place].flatten(1).shape, []).append(place)
    return groups


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
            with own_settings(part):
                part.load_state_dict(state)


@contextmanager
def own_settings(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Keep an optimiser's step size, decay and the like while a checkpoint's state, which has its own, is loaded."""
    own = [{name: value for name, value in group.items() if name != "params"} for group in optimizer.param_groups]
    yield
    for group, settings in zip(optimizer.param_groups, own, strict=True):
        group.update(settings)
