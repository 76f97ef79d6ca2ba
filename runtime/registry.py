"""The world models that can be served, by name, and how each is loaded. Imports no torch."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from longtake.protocol.errors import LongtakeError

DEFAULT_FACTORY = "longtake.model.loading:load"


class ModelUnknown(LongtakeError, ValueError):
    """No model of that name, or its factory cannot be found."""

    def __init__(self, message: str) -> None:
        super().__init__("unknown_model", message)


@dataclass(frozen=True, kw_only=True)
class ModelEntry:
    """One model of the table."""

    name: str
    summary: str
    factory: str = DEFAULT_FACTORY
    """`module:function`, called as `function(name, device=..., precision=..., threads=...)`, and with `options=...`
    where some are given"""
    threads: int = 0
    """of the generator process on a CPU; 0 leaves it to torch"""
    loads_within_s: float = 120.0
    """a generator that is not ready by then is taken to hang"""


MODELS: dict[str, ModelEntry] = {
    entry.name: entry
    for entry in (
        # its operations are so small that a second thread only costs: measured faster on one
        ModelEntry(name="diorama", summary="bundled storybook world, 192 x 320 at 16 fps, runs on a laptop", threads=1),
        ModelEntry(
            name="longlive-1.3b",
            summary="public LongLive checkpoint on Wan2.1-T2V-1.3B, 480 x 832 at 16 fps, for an H100",
            loads_within_s=900.0,
        ),
        ModelEntry(
            name="self-forcing-1.3b",
            summary="public Self-Forcing checkpoint on Wan2.1-T2V-1.3B, takes of about five seconds",
            loads_within_s=900.0,
        ),
    )
}


def entry(name: str, factory: str = "") -> ModelEntry:
    """Return the entry of a model; with `factory`, any name is loaded by that. Raises `ModelUnknown`."""
    if factory:
        return ModelEntry(name=name, summary="", factory=factory, threads=1)
    if name not in MODELS:
        raise ModelUnknown(f"no model is called {name!r}; there are: {', '.join(MODELS)}")
    return MODELS[name]


def load(
    model: ModelEntry, *, device: str, precision: str, threads: int, options: Mapping[str, str] | None = None
) -> Any:
    """Load a model; for the generator process only, since it imports torch. Raises what the factory raises.

    `options` are texts by name, as the command line has them (`longtake.model.longlive.options`).
    """
    module_name, separator, function_name = model.factory.partition(":")
    if not separator or not module_name or not function_name:
        raise ModelUnknown(f"the factory {model.factory!r} is not of the form module:function")
    function: Callable[..., Any] = getattr(importlib.import_module(module_name), function_name)
    more = {"options": options} if options else {}
    return function(model.name, device=device, precision=precision, threads=threads, **more)


def option(text: str) -> tuple[str, str]:
    """Parse `name=value`, as processes hand options on; for argparse, whose error a ValueError is."""
    name, separator, value = text.partition("=")
    if not name or not separator:
        raise ValueError(f"{text!r} is not of the form name=value")
    return name.replace("-", "_"), value
