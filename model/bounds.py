"""Limits of a configuration's numbers, each said in the same words; raises ConfigError by the field's name.

What is not a number is never within them.
"""

from collections.abc import Callable
from typing import Any

from longtake.model.errors import ConfigError


def at_least(config: object, least: float, *names: str) -> None:
    """Refuse a named field below `least`."""
    _check(config, names, lambda value: value >= least, f"must be at least {least:g}")


def positive(config: object, *names: str) -> None:
    """Refuse a named field that is not above 0."""
    _check(config, names, lambda value: value > 0, "must be positive")


def share(config: object, *names: str) -> None:
    """Refuse a named field that is not from 0 to 1; None passes."""
    _check(config, names, lambda value: value is None or 0 <= value <= 1, "is a share, 0 to 1")


def part(config: object, *names: str) -> None:
    """Refuse a named field that is not from 0 to below 1; None passes."""
    _check(config, names, lambda value: value is None or 0 <= value < 1, "is a share, 0 to below 1")


def _check(config: object, names: tuple[str, ...], within: Callable[[Any], bool], said: str) -> None:
    for name in names:
        value = getattr(config, name)
        if not within(value):
            raise ConfigError(f"{name} {said}, not {value}")
