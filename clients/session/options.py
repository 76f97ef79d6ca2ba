"""How a world is opened and watched."""

import difflib
from collections.abc import Collection, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import TypedDict

from longtake.clients.session.world import World
from longtake.protocol.messages import Delivery, Encoding, Mode, Script


class WatchOptions(TypedDict, total=False):
    """How to deliver the pictures of a world."""

    delivery: Delivery | None
    """"latest" (default; the newest wins), "every" (nothing is lost, the world waits) or None for no pictures"""
    encoding: Encoding
    """"raw" (default), or "jpeg" for slow connections"""
    buffer_frames: int
    """with "every": pictures buffered here before the world has to wait, 1 to 1024 (default 64)"""


class OpenOptions(WatchOptions, total=False):
    """What `Session.open` takes."""

    prompt: str | None
    """base text; None takes the script's template"""
    seed: int
    mode: Mode
    """"live" (default), "lockstep" (`advance`) or "offline" (as fast as the pictures are taken)"""
    script: Script | None
    """template, slots and events"""
    readings: bool
    """have the model's probe read every block (capability "reading")"""
    paused: bool


def check_names(verb: str, options: Mapping[str, object], known: Collection[str]) -> None:
    """Raise `TypeError` for a keyword that `verb` does not take, which nobody else would notice."""
    for name in options:
        if name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise TypeError(f"{verb}() got an unexpected keyword argument {name!r}{hint}")


@dataclass(frozen=True, kw_only=True)
class Opening:
    """An `open` that was sent."""

    entered: "Future[World]"
    resume: bool
    """the world was opened paused, and has to be resumed once its frames are subscribed to"""
