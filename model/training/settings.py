"""Fields of a configuration changed by name, as the command line's `--set NAME=VALUE` does."""

import math
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from longtake.model.errors import ConfigError

C = TypeVar("C")


def changed(config: C, assignments: Iterable[str]) -> C:
    """Return a configuration with fields changed, those of the configurations within it too.

    Args:
        config: a dataclass.
        assignments: "NAME=VALUE" each; a name that several parts have is written with its part, "PART.NAME".

    Raises:
        ConfigError: no such field, a value of another type, or one that the configuration refuses.
    """
    wanted: dict[tuple[str, ...], str] = {}
    for assignment in assignments:
        name, separator, text = assignment.partition("=")
        if not separator:
            raise ConfigError(f"--set takes NAME=VALUE, not {assignment!r}")
        wanted[_find(config, name.strip())] = text.strip()
    # All at once: some are only right together.
    return _changed(config, wanted) if wanted else config


def _paths(config: object, before: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of all fields that are no configurations themselves."""
    for each in fields(config):  # type: ignore[arg-type]
        value = getattr(config, each.name)
        if is_dataclass(value):
            yield from _paths(value, (*before, each.name))
        else:
            yield (*before, each.name)


def _find(config: object, name: str) -> tuple[str, ...]:
    paths = list(_paths(config))
    found = [path for path in paths if f".{'.'.join(path)}".endswith(f".{name}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise ConfigError(f"{name} is in several parts; write {' or '.join('.'.join(path) for path in found)}")
    known = sorted({path[-1] for path in paths})
    close = get_close_matches(name, known, 1)
    raise ConfigError(f"there is no setting {name!r}; " + (f"did you mean {close[0]}?" if close else ", ".join(known)))


def _changed(config: C, wanted: Mapping[tuple[str, ...], str]) -> C:
    new: dict[str, Any] = {}
    for name in dict.fromkeys(path[0] for path in wanted):
        below = {path[1:]: text for path, text in wanted.items() if path[0] == name}
        if () in below:
            new[name] = _parse(name, get_type_hints(type(config))[name], below[()])
        else:
            new[name] = _changed(getattr(config, name), below)
    return replace(config, **new)  # type: ignore[type-var]


def _parse(name: str, kind: Any, text: str) -> Any:
    """Read a value of a field's type."""
    if isinstance(kind, types.UnionType):
        if text.lower() == "none" and type(None) in get_args(kind):
            return None
        kind = next(each for each in get_args(kind) if each is not type(None))
    try:
        if kind is bool:
            return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[text.lower()]
        if kind in (int, float, str, Path):
            return _finite(kind(text))
        if get_origin(kind) is tuple:
            items = [item.strip() for item in text.split(",")]
            each = get_args(kind)[0]
            return tuple(_finite(each(item)) for item in items)
    except (ValueError, KeyError):
        raise ConfigError(f"{name} takes a value of type {getattr(kind, '__name__', kind)}, not {text!r}") from None
    raise ConfigError(f"{name} cannot be set by name")


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(value)
    return value
