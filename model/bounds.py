"""Limits of a configuration's numbers, each said in the same words. What is not a number is never within them."""

from longtake.model.errors import ConfigError


def at_least(config: object, least: float, *names: str) -> None:
    """Raise ConfigError if one of the named fields is below `least`."""
    for name in names:
        value = getattr(config, name)
        if not value >= least:
            raise ConfigError(f"{name} must be at least {least:g}, not {value}")


def positive(config: object, *names: str) -> None:
    """Raise ConfigError if one of the named fields is not above 0."""
    for name in names:
        value = getattr(config, name)
        if not value > 0:
            raise ConfigError(f"{name} must be positive, not {value}")


def share(config: object, *names: str) -> None:
    """Raise ConfigError if one of the named fields is not from 0 to 1; None passes."""
    for name in names:
        value = getattr(config, name)
        if value is not None and not 0 <= value <= 1:
            raise ConfigError(f"{name} is a share, 0 to 1, not {value}")


def part(config: object, *names: str) -> None:
    """Raise ConfigError if one of the named fields is not from 0 to below 1; None passes."""
    for name in names:
        value = getattr(config, name)
        if value is not None and not 0 <= value < 1:
            raise ConfigError(f"{name} is a share, 0 to below 1, not {value}")
