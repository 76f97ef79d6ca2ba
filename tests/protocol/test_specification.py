"""docs/protocol.md against the code: every message, field, type, limit, default, error code and golden byte."""

import json
import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from msgspec import inspect

from longtake.protocol import messages as m
from longtake.protocol import wire
from longtake.protocol.endpoints import DEFAULT_PORT
from longtake.protocol.errors import ERROR_CODES, LOCAL_CODES
from longtake.protocol.fields import MAX_NUMBER
from longtake.runtime.server.limits import Limits

ROOT = Path(__file__).parents[2]
SPECIFICATION = (ROOT / "docs/protocol.md").read_text()
GOLDEN = json.loads((ROOT / "tests/data/protocol/golden.json").read_text())
UNIONS = (m.FromClient, m.FromServer, m.FromClientFrames, m.FromServerFrames)
MESSAGES = sorted({kind for union in UNIONS for kind in get_args(union)}, key=lambda kind: kind.__name__)
PARTS = [m.ModelInfo, m.Axis, m.Script, m.Slot, m.EventDef, m.Understood, m.WorldEntry]
PLAIN = {inspect.BoolType: "bool", inspect.NoneType: "nil", inspect.AnyType: "anything"}


def title(kind: type) -> str:
    tag = kind.__struct_config__.tag
    return tag or re.sub(r"(?<=[a-z])(?=[A-Z])", "_", kind.__name__).lower()


def in_words(kind: Any) -> str:
    """The type column of the specification for one type of `msgspec.inspect`."""
    if isinstance(kind, inspect.StrType):
        return text_in_words(kind)
    if isinstance(kind, inspect.IntType):
        return f"int{bounds(kind.ge, kind.le)}"
    if isinstance(kind, inspect.FloatType):
        return f"float{bounds(kind.ge, kind.le)}"
    if isinstance(kind, inspect.LiteralType):
        return "one of " + ", ".join(f"`{value}`" for value in sorted(kind.values))
    if isinstance(kind, inspect.ListType):
        return f"array of {in_words(kind.item_type)}"
    if isinstance(kind, inspect.TupleType):
        return f"array of {len(kind.item_types)} int"
    if isinstance(kind, inspect.DictType):
        return f"map of {in_words(kind.key_type)} to {in_words(kind.value_type)}"
    if isinstance(kind, inspect.UnionType):
        parts = sorted(kind.types, key=lambda part: isinstance(part, inspect.NoneType))
        return " or ".join(in_words(part) for part in parts)
    if isinstance(kind, inspect.StructType):
        return f"`{title(kind.cls)}`"
    return PLAIN[type(kind)]


def text_in_words(kind: inspect.StrType) -> str:
    if kind.pattern:
        return "name"
    if kind.max_length is None:
        return "text"
    return f"text {kind.min_length or 0}..{kind.max_length}"


def bounds(low: float | None, high: float | None) -> str:
    if low is None and high is None:
        return ""
    powers = {MAX_NUMBER: "2^53-1"}
    return f" {low:g}..{powers.get(high) or f'{high:g}'}"


def default_in_words(field: inspect.Field) -> str:
    if field.required:
        return "required"
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    written = msgspec.json.encode(value).decode() if not isinstance(value, m.Script) else "{}"
    return {"null": "nil"}.get(written, written)


def rows(kind: type) -> list[tuple[str, str, str]]:
    """Name, type and default of every field, as the specification's table must have them."""
    return [(f"`{f.encode_name}`", in_words(f.type), default_in_words(f)) for f in inspect.type_info(kind).fields]


def fields_of(kind: type) -> set[str]:
    return {field.encode_name for field in inspect.type_info(kind).fields}


def table_of(name: str) -> list[tuple[str, str, str]]:
    section = re.search(rf"^#### `{name}`$(.*?)(?=^##|\Z)", SPECIFICATION, re.MULTILINE | re.DOTALL)
    assert section, f"docs/protocol.md has no section on {name}"
    found = re.findall(r"^\| (`[a-z_]+`) \| (.+?) \| (.+?) \| .+ \|$", section[1], re.MULTILINE)
    return [(field, kind.strip(), default.strip().strip("`")) for field, kind, default in found]


@pytest.mark.parametrize("kind", [*MESSAGES, *PARTS], ids=title)
def test_every_field_is_specified_with_type_limits_and_default(kind):
    assert table_of(title(kind)) == rows(kind)


def test_nothing_is_specified_that_does_not_exist():
    assert set(re.findall(r"^#### `(\w+)`$", SPECIFICATION, re.MULTILINE)) == {title(k) for k in [*MESSAGES, *PARTS]}


def test_error_codes_and_whether_to_retry():
    found = re.findall(r"^\| `([a-z_]+)` \| (yes|no) \| .+ \|$", SPECIFICATION, re.MULTILINE)
    expected = [(code, "yes" if e.retryable else "no") for code, e in ERROR_CODES.items() if code not in LOCAL_CODES]
    assert found == expected


REQUESTS = [
    kind for union in (m.FromClient, m.FromClientFrames) for kind in get_args(union) if "request" in fields_of(kind)
]


@pytest.mark.parametrize("kind", REQUESTS, ids=title)
def test_every_request_says_how_it_is_answered_and_with_which_errors(kind):
    section = re.search(rf"^#### `{title(kind)}`$(.*?)(?=^\|)", SPECIFICATION, re.MULTILINE | re.DOTALL)
    assert section
    assert "Answered by `" in section[1]
    assert "`error`" in section[1] or "the errors of any request alone" in section[1]
    _, _, errors = section[1].partition("`error`")
    codes = set(re.findall(r"`([a-z_]+)`", errors)) & set(ERROR_CODES)
    assert codes or "the errors of any request alone" in section[1]


def test_the_limits_are_the_servers_with_their_defaults():
    found = re.findall(r"^\| `(\w+)` \| (\d+) \| .+ \|$", SPECIFICATION, re.MULTILINE)
    assert {name: int(value) for name, value in found} == Limits().announced()
    listed = re.search(r"the server's limits by name: (.+?);", SPECIFICATION)
    assert listed
    assert set(re.findall(r"`(\w+)`", listed[1])) == set(Limits().announced())


def test_limits_and_numbers():
    for number in (
        f"{wire.MAX_REQUEST_BYTES:,}",
        f"{wire.MAX_MESSAGE_BYTES:,}",
        f"{wire.MAX_SOCKET_BYTES:,}",
        f"{wire.MAX_PICTURE_BYTES:,}",
        f"{wire.MAX_ITEMS:,}",
        f"{DEFAULT_PORT}",
        f"# The Longtake protocol {m.VERSION_MAJOR}.{m.VERSION_MINOR}",
    ):
        assert number in SPECIFICATION, number
    assert f"nested at most {wire.MAX_DEPTH} deep" in SPECIFICATION


def test_example_bytes_are_golden():
    examples = re.findall(r"^> `(\w+)` ([0-9a-f]+)$", SPECIFICATION, re.MULTILINE)
    assert len(examples) >= 8
    golden = {(entry["fields"]["type"], entry["hex"]) for entry in GOLDEN}
    for example in examples:
        assert example in golden


SECTION_10 = SPECIFICATION.partition("## 10. Examples")[2]
SAID = re.compile(r"^    ([CS]) (\(f\))?\s+(\w+)( x \d+)? +(.*)$", re.MULTILINE)
SENDER = {"C": "client", "S": "server"}
PAIR = re.compile(r"(\w+) (\[[^]]*\]|\{[^}]*\}|\"[^\"]*\"|-?\d+|true|false)")


def said() -> list[tuple[str, str, dict[str, Any]]]:
    """Route, message and fields of every line of the transcripts in section 10."""
    lines = []
    for who, on_frames, kind, many, rest in SAID.findall(SECTION_10):
        written = [(name, re.sub(r"(\w+):", r'"\1":', value)) for name, value in PAIR.findall(rest)]
        route = f"{SENDER[who]}, {'frames' if on_frames else 'control'}"
        lines.append((route, kind, {} if many else {name: json.loads(value) for name, value in written}))
    return lines


def test_the_transcripts_are_read_whole():
    drawn = re.findall(r"^    [CS] .*$", SECTION_10, re.MULTILINE)
    assert len(said()) == len(drawn) >= 18
    assert ("server, control", "joined", {"request": 1, "world": "w1", "tick": 0}) in said()


@pytest.mark.parametrize(("route", "kind", "fields"), said(), ids=lambda value: str(value)[:40])
def test_each_line_of_a_transcript_has_golden_bytes(route, kind, fields):
    golden = [entry["fields"] for entry in GOLDEN if entry["route"] == route and entry["fields"]["type"] == kind]
    matching = [entry for entry in golden if {name: entry.get(name) for name in fields} == fields]
    assert matching, f"no golden {kind} of {route} has {fields}"


def test_the_golden_answers_are_answers_to_the_golden_requests():
    def golden(kind: str, **fields: Any) -> dict[str, Any]:
        entries = [entry["fields"] for entry in GOLDEN if entry["fields"]["type"] == kind]
        return next(entry for entry in entries if all(entry[name] == value for name, value in fields.items()))

    asked, joined, welcome = golden("open"), golden("joined", request=1), golden("welcome")
    assert joined["role"] == "director"
    for name in ("request", "script", "mode", "seed", "paused"):
        assert joined[name] == asked[name], name
    assert joined["model"] in welcome["models"]
    assert asked["model"] == joined["model"]["name"]
    assert golden("subscribe")["session"] == welcome["session"]
    assert golden("joined", request=2)["timeline"][0]["prompt"] == golden("applied", cue=3)["prompt"]
