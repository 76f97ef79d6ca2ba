"""Reads JSON that has to be an object, since a valid file may hold a list or a number instead."""

import json
from typing import Any


def parse_object(text: str | bytes) -> dict[str, Any]:
    """Return the object in a JSON text. Raises ValueError that says what is wrong, whatever the text is."""
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    if not isinstance(value, dict):
        kinds = {list: "a list", str: "a text", type(None): "null", bool: "true or false"}
        raise ValueError(f"it holds {kinds.get(type(value), 'a number')} instead of an object")
    return value
