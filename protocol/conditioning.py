"""What a block is made under, as one value. Messages and take records carry its fields beside their own.

A step carries a conditioning only if it differs from the block before; its prompt is None otherwise. To add an
input, give it a field here, in `Fields` and `NewFields`, and in the messages and records that carry them.
"""

from typing import Protocol, TypedDict

import msgspec


class Conditioning(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a block is made under."""

    prompt: str
    actions: tuple[float, ...] = ()
    """the value of each axis, in the order of the model's `axes`; empty for a model without axes"""
    via: str | None = None
    """the same prompt as for the block before, but in between the window was rebuilt under this one: a cue came and was
    taken back. A replay rebuilds it twice, too, because once is not the same as never"""
    late: bool = False
    """the prompt is new, and the window is rebuilt under it only after the block: the cue came too late for more"""


class Fields(TypedDict):
    """The fields of a conditioning, for a message or record that always carries one."""

    prompt: str
    actions: tuple[float, ...]


class NewFields(TypedDict):
    """The same for one that carries a conditioning only if it is new."""

    prompt: str | None
    actions: tuple[float, ...]
    via: str | None
    late: bool


class Carrier(Protocol):
    """A message or record that always carries a conditioning."""

    @property
    def prompt(self) -> str:
        """See `Conditioning`."""
        ...

    @property
    def actions(self) -> tuple[float, ...]:
        """See `Conditioning`."""
        ...


class NewCarrier(Protocol):
    """A message or record that carries a conditioning only if it is new."""

    @property
    def prompt(self) -> str | None:
        """See `Conditioning`; None if nothing is new."""
        ...

    @property
    def actions(self) -> tuple[float, ...]:
        """See `Conditioning`."""
        ...

    @property
    def via(self) -> str | None:
        """See `Conditioning`."""
        ...

    @property
    def late(self) -> bool:
        """See `Conditioning`."""
        ...


def carried(message: Carrier) -> Conditioning:
    """Return the conditioning of a message or record."""
    return Conditioning(prompt=message.prompt, actions=message.actions)


def newly_carried(message: NewCarrier) -> Conditioning | None:
    """Return the conditioning of a message or record; None if it is the same as for the block before."""
    if message.prompt is None:
        return None
    return Conditioning(prompt=message.prompt, actions=message.actions, via=message.via, late=message.late)


def fields(conditioning: Conditioning) -> Fields:
    """Return the fields that a message or record carries: `GenOpen(world=..., **fields(conditioning))`."""
    return Fields(prompt=conditioning.prompt, actions=conditioning.actions)


def new_fields(conditioning: Conditioning | None) -> NewFields:
    """Return the fields of a step; None stands for a conditioning that has not changed."""
    if conditioning is None:
        return NewFields(prompt=None, actions=(), via=None, late=False)
    return NewFields(
        prompt=conditioning.prompt, actions=conditioning.actions, via=conditioning.via, late=conditioning.late
    )
