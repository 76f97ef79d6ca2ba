"""The messages as a JSON Schema, for clients that are generated: `python -m longtake.protocol.schema > FILE`.

It is made of the same classes as the tables of docs/protocol.md, and docs/protocol.schema.json is checked against it.
"""

import json
import sys
import typing
from typing import Any

import msgspec

from longtake.protocol.fields import VERSION_MAJOR, VERSION_MINOR
from longtake.protocol.messages import FromClient, FromClientFrames, FromServer, FromServerFrames

ROUTES: dict[str, Any] = {
    "client_control": FromClient,
    "client_frames": FromClientFrames,
    "server_control": FromServer,
    "server_frames": FromServerFrames,
}
"""who sends on which socket, and the messages that may be sent there"""


def schema() -> dict[str, Any]:
    """Return the JSON Schema (2020-12): each message under `$defs`, and for each route those that travel on it."""
    routes, definitions = msgspec.json.schema_components(ROUTES.values(), ref_template="#/$defs/{name}")
    routes_by_name = dict(zip(ROUTES, routes, strict=True))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": f"The Longtake protocol {VERSION_MAJOR}.{VERSION_MINOR}",
        "description": "MessagePack maps; a `frame` is followed by its picture as a second part. See protocol.md.",
        "anyOf": list(routes_by_name.values()),
        "$defs": {**_portable(definitions), **_portable(routes_by_name)},
    }


def text() -> str:
    """Return the schema as the file holds it."""
    return json.dumps(schema(), indent=1, ensure_ascii=False) + "\n"


def _portable(value: Any) -> Any:
    """Write patterns as JavaScript reads them: it has no \\A and \\Z."""
    if isinstance(value, dict):
        return {
            key: item.replace("\\A", "^").replace("\\Z", "$")
            if key == "pattern" and isinstance(item, str)
            else _portable(item)
            for key, item in typing.cast(dict[str, Any], value).items()
        }
    return [_portable(item) for item in value] if isinstance(value, list) else value


if __name__ == "__main__":
    sys.stdout.write(text())
