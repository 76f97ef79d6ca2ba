"""Options of a model: a frozen dataclass that is also read from texts, as a command line has them."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Literal, Self, Union, get_args, get_origin, get_type_hints

from longtake.model.errors import ConfigError

_FLAGS = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}


@dataclass(frozen=True, kw_only=True)
class Options:
    """Base of a model's options. Each field is a bool, int, float, str, Path or Literal, or one of them or None.

    >>> @dataclass(frozen=True, kw_only=True)
    ... class ToyOptions(Options):
    ...     size: int = 8
    ...     colour: Literal["red", "blue"] = "red"
    >>> ToyOptions.parse({"size": "16"})
    ToyOptions(size=16, colour='red')
    """

    def __post_init__(self) -> None:
        hints = get_type_hints(type(self))
        for field in fields(self):
            allowed = _choices(hints[field.name])
            value = getattr(self, field.name)
            if isinstance(value, float) and not math.isfinite(value):
                raise ConfigError(f"{field.name} must be a finite number, not {value}")
            if isinstance(value, int) and not -(2**63) <= value < 2**63:
                raise ConfigError(f"{field.name} must have at most 64 bits; {str(value)[:20]}... has more")
            if allowed and value not in allowed:
                choices = ", ".join(repr(choice) for choice in allowed)
                raise ConfigError(f"{field.name} must be one of {choices}, not {value!r}")

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """Return the names of the options."""
        return tuple(field.name for field in fields(cls))

    @classmethod
    def parse(cls, texts: Mapping[str, str]) -> Self:
        """Return the options that `texts` give by name; the others keep their defaults.

        Raises:
            ConfigError: there is no such option, or it cannot have this value.
        """
        hints = get_type_hints(cls)
        values = {}
        for text_name, text in texts.items():
            name = text_name.replace("-", "_")
            if name not in cls.names():
                raise ConfigError(f"there is no option {name}; there are {', '.join(cls.names()) or 'none'}")
            values[name] = _value(name, text, hints[name])
        return cls(**values)


def _value(name: str, text: str, hint: object) -> bool | float | str | Path:
    kind = _without_none(hint)
    if kind is bool:
        if text.lower() not in _FLAGS:
            raise ConfigError(f"{name} must be on or off, not {text!r}")
        return _FLAGS[text.lower()]
    if kind is Path:
        return Path(text).expanduser()
    if kind is int or kind is float:
        try:
            return int(text) if kind is int else float(text)
        except ValueError:
            raise ConfigError(f"{name} must be a number, not {text[:40]!r}") from None
    return text


def _without_none(hint: object) -> object:
    if get_origin(hint) in (Union, UnionType):
        return next(kind for kind in get_args(hint) if kind is not NoneType)
    return hint


def _choices(hint: object) -> tuple[str, ...]:
    return get_args(hint) if get_origin(hint) is Literal else ()
