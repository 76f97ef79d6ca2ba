"""Reads YAML into plain values and remembers the line of every key.

Whatever is wrong with the text is a ScenarioError of one line with file, line and reason. Only texts, numbers, true,
false and nothing are built: a date or any other type of YAML gets an error that says to put it in quotes.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, cast

import yaml

from longtake.protocol.text import clean
from longtake.scenarios.errors import ScenarioError

LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""both build plain values only; the C loader is many times faster, but not always there"""
MAX_DEPTH = 16
TOO_DEEP = "nested deeper than a scenario can be"
MAX_ENTRIES = 20_000
"""entries of maps and lists, with aliases followed: a short file of aliases can stand for billions"""
TAG = "tag:yaml.org,2002:"
PLAIN = frozenset(f"{TAG}{kind}" for kind in ("str", "int", "float", "bool", "null"))
_OCTAL = re.compile(r"[-+]?0[0-7_]+")
Pair = tuple[Any, Any]
"""the nodes of a key and of its value"""


@dataclass(frozen=True, kw_only=True)
class Document:
    """The values of a YAML file."""

    data: Any
    lines: dict[str, int]
    """line of every key by its path, such as `timeline[2].event`"""


def parse(text: str, shown: str) -> Document:
    """Return the values of a YAML text; errors call it `shown`. Raises ScenarioError."""
    try:
        _check_depth(text, shown)
        node = LOADER(text).get_single_node()
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        code = error.character if isinstance(error.character, int) else ord(str(error.character)[:1] or "\0")
        raise ScenarioError(f"{shown}:{line}: not valid YAML: the character U+{code:04X} is not allowed") from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or "cannot be read"
        if "nesting depth" in problem:
            # Newer releases of libyaml give up at a thousand levels before we see the first one.
            raise ScenarioError(f"{shown}{where}: {TOO_DEEP}") from error
        raise ScenarioError(f"{shown}{where}: not valid YAML: {problem}") from error
    builder = _Builder(shown=shown)
    data = builder.value(node, "", 0) if node is not None else None
    return Document(data=data, lines=builder.lines)


@dataclass(kw_only=True)
class _Builder:
    """Turns YAML's nodes into values."""

    shown: str
    lines: dict[str, int] = field(default_factory=dict)
    visits: int = 0

    def value(self, node: Any, key: str, depth: int) -> Any:
        """Return the value of a node; `key` is its path."""
        if depth > MAX_DEPTH:
            raise self.error(node, key, "larger than a scenario can be; are there aliases in it?")
        if isinstance(node, yaml.MappingNode):
            return self.map(node, key, depth)
        if isinstance(node, yaml.SequenceNode):
            if node.tag != f"{TAG}seq":
                raise self.error(node, key, f"the type {node.tag!r} is not used in scenarios")
            return [
                self.entry(f"{key}[{index}]", value, value, depth) for index, value in enumerate(self.entries(node))
            ]
        return self.scalar(node, key)

    def entry(self, path: str, at: Any, node: Any, depth: int) -> Any:
        """Return the value of a map's or list's entry, and note the line of `at`."""
        self.lines[path] = at.start_mark.line + 1
        return self.value(node, path, depth + 1)

    def entries(self, node: Any) -> Iterator[Any]:
        """Yield what a map or list holds. Raises ScenarioError once there is too much altogether."""
        for entry in node.value:
            self.visits += 1
            if self.visits > MAX_ENTRIES:
                raise self.error(node, "", "larger than a scenario can be; are there aliases in it?")
            yield entry

    def map(self, node: Any, key: str, depth: int) -> dict[str, Any]:
        """Return the values of a map."""
        if node.tag != f"{TAG}map":
            raise self.error(node, key, f"the type {node.tag!r} is not used in scenarios")
        values: dict[str, Any] = {}
        for name, (at, value) in self.pairs(node, key, depth).items():
            values[name] = self.entry(f"{key}.{name}" if key else name, at, value, depth)
        return values

    def pairs(self, node: Any, key: str, depth: int) -> dict[str, Pair]:
        """Return the entries of a map by name; its own come before those that `<<` merges into it."""
        own: dict[str, Pair] = {}
        merged: list[Any] = []
        for at, value in self.entries(node):
            if at.tag == f"{TAG}merge":
                merged += self.entries(value) if isinstance(value, yaml.SequenceNode) else [value]
                continue
            name = self.name(at, key)
            if name in own:
                first = own[name][0].start_mark.line + 1
                path = f"{key}.{name}" if key else name
                raise self.error(at, path, f"is there twice, first in line {first}")
            own[name] = (at, value)
        for base in merged:
            if not isinstance(base, yaml.MappingNode):
                raise self.error(base, key, "`<<` takes a map, such as `<<: *base`")
            if depth >= MAX_DEPTH:
                raise self.error(base, key, "larger than a scenario can be; are there aliases in it?")
            own = {**self.pairs(base, key, depth + 1), **own}
        return own

    def name(self, node: Any, key: str) -> str:
        """Return the text of a key."""
        if not isinstance(node, yaml.ScalarNode):
            raise self.error(node, key, "a list or a map cannot be a key")
        if node.tag != f"{TAG}str":
            raise self.error(node, key, f"the key {_short(node)} is read as {_kind(node)}; put it in quotes")
        name = clean(str(node.value))
        if not name:
            raise self.error(node, key, "a key has no visible character")
        return name

    def scalar(self, node: Any, key: str) -> str | int | float | bool | None:
        """Return a text, number, true, false or nothing."""
        if node.tag not in PLAIN:
            raise self.error(node, key, f"{_short(node)} is read as {_kind(node)}; put it in quotes")
        if node.tag == f"{TAG}str":
            text = str(node.value)
            return clean(text) or " " * bool(text)
        try:
            value = yaml.constructor.SafeConstructor().construct_object(node)
        except (ValueError, LookupError, ArithmeticError, TypeError, yaml.YAMLError):
            raise self.error(node, key, f"{_short(node)} cannot be used as {_kind(node)}") from None
        if isinstance(value, float) and not math.isfinite(value):
            raise self.error(node, key, f"{_short(node)} is not a number that can be used")
        if isinstance(value, int) and _OCTAL.fullmatch(str(node.value)):
            raise self.error(node, key, f"{_short(node)} is read as {value}, to the base of eight; leave out the zero")
        return cast(str | int | float | bool | None, value)

    def error(self, node: Any, key: str, problem: str) -> ScenarioError:
        """Return the error for a node."""
        place = f"{key}: " if key else ""
        return ScenarioError(f"{self.shown}:{node.start_mark.line + 1}: {place}{problem}")


def _short(node: Any) -> str:
    text = clean(str(node.value)) if isinstance(node, yaml.ScalarNode) else "this"
    return f"`{text[:40]}…`" if len(text) > 40 else f"`{text}`"


def _kind(node: Any) -> str:
    """What YAML takes a scalar for, in words."""
    kinds = {"bool": "true or false", "int": "a number", "float": "a number", "null": "nothing", "timestamp": "a date"}
    kind = str(node.tag).removeprefix(TAG)
    return kinds.get(kind, f"the type {kind[:40]!r}")


def _check_depth(text: str, shown: str) -> None:
    """Refuse nesting so deep that a walk would run out of stack. Raises ScenarioError and YAMLError."""
    depth = 0
    for event in yaml.parse(text, Loader=LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > MAX_DEPTH:
                line = cast(Any, event).start_mark.line + 1  # the C loader always sets it
                raise ScenarioError(f"{shown}:{line}: {TOO_DEEP}")
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
