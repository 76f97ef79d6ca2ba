"""What a world asks the server to do. A world itself touches no socket, file or clock."""

from dataclasses import dataclass
from typing import TypeAlias

from longtake.protocol.messages import Message
from longtake.runtime.takes.file import TakeRecord
from longtake.runtime.world.outgoing_frame import OutgoingFrame


@dataclass(frozen=True, kw_only=True, slots=True)
class Requester:
    """Who sent a request that is answered later."""

    client: object
    """the server's own handle of a client"""
    request: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Tell:
    """Send a message to every member of the world."""

    message: Message


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """Send an answer to whoever sent the request."""

    to: Requester
    message: Message


@dataclass(frozen=True, kw_only=True, slots=True)
class Command:
    """Send a message to the generator."""

    message: Message
    part: bytes | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Publish:
    """Send a frame to every subscriber."""

    frame: OutgoingFrame
    number: int
    generation: int
    held: bool
    stale: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class Record:
    """Append to the take file, if one is being recorded."""

    record: TakeRecord


@dataclass(frozen=True, kw_only=True, slots=True)
class DropWaiting:
    """Drop the frames that wait to be sent: their take was reset."""


Effect: TypeAlias = Tell | Answer | Command | Publish | Record | DropWaiting
