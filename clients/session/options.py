"""How a world is opened and watched."""

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


@dataclass(frozen=True, kw_only=True)
class Opening:
    """An `open` that was sent."""

    entered: "Future[World]"
    resume: bool
    """the world was opened paused, and has to be resumed once its frames are subscribed to"""
