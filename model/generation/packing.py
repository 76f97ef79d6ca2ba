"""A decoder's memory as plain tensors and JSON, so that it can be written to disk.

A memory may hold tensors, numbers, texts, flags and None, in dataclasses, dicts, lists and tuples. A dataclass is
restored into a fresh memory of the same decoder, so its type is never written.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor

from longtake.model.errors import SnapshotError


@dataclass(frozen=True, kw_only=True)
class Packed:
    """A memory that was packed.

    Attributes:
        tree: JSON; tensors in it are named.
        tensors: by name, copies of their own.
    """

    tree: str
    tensors: Mapping[str, Tensor]


def pack(state: Any) -> Packed:
    """Return a copy of a memory. Raises SnapshotError if it holds what cannot be written."""
    tensors: dict[str, Tensor] = {}

    def node(value: Any) -> Any:
        if isinstance(value, Tensor):
            name = str(len(tensors))
            channels_last = value.ndim == 4 and value.is_contiguous(memory_format=torch.channels_last)
            tensors[name] = value.clone()
            return {"tensor": name, "channels_last": channels_last and not value.is_contiguous()}
        if value is None or isinstance(value, bool | int | float | str):
            return {"value": value}
        if isinstance(value, list | tuple):
            return {"tuple" if isinstance(value, tuple) else "list": [node(item) for item in value]}
        if isinstance(value, dict):
            return {"dict": [[node(key), node(item)] for key, item in value.items()]}
        if is_dataclass(value):
            return {"fields": {field.name: node(getattr(value, field.name)) for field in fields(value)}}
        raise SnapshotError(f"the decoder's memory holds a {type(value).__name__}, which cannot be saved")

    tree = json.dumps(node(state))
    return Packed(tree=tree, tensors=tensors)


def unpack(packed: Packed, fresh: Any, device: torch.device) -> Any:
    """Return a memory that was packed, on a device; `fresh` is the memory of the same decoder that has seen nothing.

    Raises SnapshotError if it is of another decoder.
    """

    def value(node: Any, into: Any) -> Any:
        (kind, *_), held = node, next(iter(node.values()))
        if kind == "tensor":
            layout = torch.channels_last if node["channels_last"] else torch.contiguous_format
            copy = torch.empty_like(packed.tensors[held], device=device, memory_format=layout)
            return copy.copy_(packed.tensors[held])
        if kind == "value":
            return held
        if kind in ("list", "tuple"):
            items = [value(item, None) for item in held]
            return tuple(items) if kind == "tuple" else items
        if kind == "dict":
            return {value(key, None): value(item, None) for key, item in held}
        if not is_dataclass(into) or {field.name for field in fields(into)} != set(held):
            raise SnapshotError("the snapshot holds the memory of another decoder")
        for name, item in held.items():
            setattr(into, name, value(item, getattr(into, name)))
        return into

    return value(json.loads(packed.tree), fresh)
