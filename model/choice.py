"""Named ways to do one thing, and which of them a machine has.

Attention, linears, the cache and the execution of a pass each have a registry of this kind in a `registry.py` of their
own: a table from the name that a user types to what makes it, with the reason why it cannot be had on a device.
`longtake.model.backend` asks all of them and settles on one combination.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch

from longtake.model.errors import BackendError

Made = TypeVar("Made", covariant=True)


@dataclass(frozen=True, kw_only=True)
class Target:
    """What a choice has to run on."""

    device: torch.device
    dtype: torch.dtype
    """of weights, activations and cache"""
    block_tokens: int = 0
    """tokens of a block, which is how many rows a linear usually gets; 0 if that is not known yet"""


def anywhere(target: Target) -> str | None:
    """Find nothing missing: for a choice that works on every target."""
    return None


@dataclass(frozen=True, kw_only=True)
class Choice(Generic[Made]):
    """One way: how to make it, and why it cannot be had on a target, None if it can (asking imports nothing)."""

    make: Callable[[Target], Made]
    missing: Callable[[Target], str | None] = anywhere


class Registry(Generic[Made]):
    """The choices for one thing, by name.

    Args:
        kind: the thing, as messages and options call it.
        choices: by name, in the order in which they are listed.
        automatic: the name that `auto` stands for on a target.
    """

    def __init__(self, kind: str, choices: Mapping[str, Choice[Made]], automatic: Callable[[Target], str]) -> None:
        self.kind, self.choices, self._automatic = kind, dict(choices), automatic

    def names(self) -> list[str]:
        """Return every name but `auto`."""
        return list(self.choices)

    def missing(self, name: str, target: Target) -> str | None:
        """Return why a name cannot be had on a target, or None if it can."""
        if name not in self.choices:
            return f"no {self.kind} is called {name!r}; there are auto, {', '.join(self.choices)}"
        return self.choices[name].missing(target)

    def resolve(self, name: str, target: Target) -> str:
        """Return a name that can be had, in place of `auto` the fastest that is as exact as the model's precision.

        Raises:
            BackendError: it is unknown, not installed or unfit for the target; the message says what to do.
        """
        chosen = self._automatic(target) if name == "auto" else name
        if problem := self.missing(chosen, target):
            raise BackendError(problem)
        return chosen

    def make(self, name: str, target: Target) -> Made:
        """Make a choice; raises as `resolve`."""
        return self.choices[self.resolve(name, target)].make(target)
