"""The JSON Schema: the file in docs is the one that the classes give, and it names every message of every route."""

import json
from pathlib import Path
from typing import get_args

import pytest

from longtake.protocol import schema

ROOT = Path(__file__).parents[2]
WRITTEN = json.loads((ROOT / "docs/protocol.schema.json").read_text(encoding="utf-8"))


def test_the_file_is_up_to_date():
    written = (ROOT / "docs/protocol.schema.json").read_text(encoding="utf-8")
    assert written == schema.text(), "run: python -m longtake.protocol.schema > docs/protocol.schema.json"


@pytest.mark.parametrize("route", schema.ROUTES)
def test_every_route_lists_its_messages(route):
    listed = {one["$ref"].removeprefix("#/$defs/") for one in WRITTEN["$defs"][route]["anyOf"]}
    assert listed == {kind.__name__ for kind in get_args(schema.ROUTES[route])}


def test_a_message_has_its_fields_limits_and_tag():
    prompt = WRITTEN["$defs"]["Prompt"]
    assert prompt["properties"]["type"] == {"enum": ["prompt"]}
    assert set(prompt["required"]) == {"type", "request", "world", "text"}
    assert prompt["properties"]["text"]["maxLength"] == 2000
    assert prompt["properties"]["world"]["pattern"] == "^[A-Za-z0-9._-]+$"
    assert prompt["properties"]["request"]["maximum"] == 2**53 - 1
