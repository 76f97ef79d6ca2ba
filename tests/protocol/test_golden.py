"""Golden bytes: the wire format of every message, so that a change of it cannot go unnoticed."""

import json
from pathlib import Path
from typing import Any, get_args

import msgpack
import msgspec
import pytest

from longtake.protocol import generator_messages as g
from longtake.protocol import messages as m
from longtake.protocol import wire

GOLDEN = json.loads((Path(__file__).parents[1] / "data/protocol/golden.json").read_text())
UNIONS: dict[str, Any] = {
    "client, control": m.FromClient,
    "server, control": m.FromServer,
    "client, frames": m.FromClientFrames,
    "server, frames": m.FromServerFrames,
    "server, generator": g.ToGenerator,
    "generator, server": g.FromGenerator,
}


def tag(kind: type) -> str:
    return kind.__struct_config__.tag


@pytest.mark.parametrize("entry", GOLDEN, ids=lambda e: f"{e['fields']['type']}-{e['route'].split(',')[0]}")
def test_bytes_are_as_written_down(entry):
    data = bytes.fromhex(entry["hex"])
    assert msgpack.unpackb(data) == entry["fields"]
    message = wire.decode(data, UNIONS[entry["route"]])
    assert json.loads(msgspec.json.encode(message)) == entry["fields"]
    assert wire.encode(message) == data
    assert msgpack.packb(msgspec.to_builtins(message)) == data, "msgspec and msgpack write the same bytes"


def test_every_message_has_golden_bytes():
    written = {entry["fields"]["type"] for entry in GOLDEN}
    assert written == {tag(kind) for union in UNIONS.values() for kind in get_args(union)}


@pytest.mark.parametrize("entry", GOLDEN, ids=lambda e: f"{e['fields']['type']}-{e['route'].split(',')[0]}")
def test_unknown_fields_are_ignored_and_missing_defaults_filled(entry):
    union = UNIONS[entry["route"]]
    fields = entry["fields"]
    newer = msgpack.packb({**fields, "from_2099": {"a": [1, 2.0, None, b"x"]}})
    assert wire.decode(newer, union) == wire.decode(bytes.fromhex(entry["hex"]), union)
    kind = {tag(k): k for k in get_args(union)}[fields["type"]]
    required = {f.encode_name for f in msgspec.structs.fields(kind) if f.required}
    shortest = {key: value for key, value in fields.items() if key in required or key == "type"}
    assert isinstance(wire.decode(msgpack.packb(shortest), union), kind)


@pytest.mark.parametrize("entry", GOLDEN, ids=lambda e: f"{e['fields']['type']}-{e['route'].split(',')[0]}")
def test_a_missing_or_wrongly_typed_field_is_named(entry):
    union = UNIONS[entry["route"]]
    kind = {tag(k): k for k in get_args(union)}[entry["fields"]["type"]]
    for field in msgspec.structs.fields(kind):
        wrong = {**entry["fields"], field.encode_name: [[None]]}
        with pytest.raises(wire.ProtocolError, match=field.encode_name) as error:
            wire.decode(msgpack.packb(wrong), union)
        assert error.value.code == "invalid"
        if field.required:
            less = {key: value for key, value in entry["fields"].items() if key != field.encode_name}
            with pytest.raises(wire.ProtocolError, match=f"missing required field {field.encode_name}"):
                wire.decode(msgpack.packb(less), union)
