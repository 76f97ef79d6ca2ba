"""The messages of the Longtake protocol 1.1, as frozen typed objects; docs/protocol.md is the authority.

A message is one MessagePack map whose `type` names it: the class's name in snake_case. Pixels and snapshots travel as a
separate binary part after that map, never inside it. Times are seconds of the sender's monotonic clock, durations are
milliseconds, and world time is counted in ticks.

The classes live in `fields`, `client_messages` and `server_messages`. Import them from here.
"""

from typing import TypeAlias

from longtake.protocol.client_messages import (
    Control,
    Credit,
    Displayed,
    Event,
    Hello,
    Input,
    Join,
    Leave,
    Open,
    Prompt,
    Subscribe,
    Unsubscribe,
    Worlds,
)
from longtake.protocol.fields import (
    VERSION_MAJOR,
    VERSION_MINOR,
    Action,
    Axis,
    Count,
    CueKind,
    Delivery,
    Encoding,
    EventDef,
    MarkKind,
    Message,
    Mode,
    ModelInfo,
    Name,
    Phrase,
    Request,
    Role,
    Script,
    Seed,
    Slot,
    Text,
    Understood,
    WorldEntry,
)
from longtake.protocol.server_messages import (
    Ack,
    Applied,
    Done,
    Error,
    Frame,
    InputAck,
    Joined,
    Notice,
    Reading,
    Status,
    Subscribed,
    Welcome,
    WorldList,
)

__all__ = [
    "VERSION_MAJOR",
    "VERSION_MINOR",
    "Ack",
    "Action",
    "Applied",
    "Axis",
    "Control",
    "Count",
    "Credit",
    "CueKind",
    "Delivery",
    "Displayed",
    "Done",
    "Encoding",
    "Error",
    "Event",
    "EventDef",
    "Frame",
    "FromClient",
    "FromClientFrames",
    "FromServer",
    "FromServerFrames",
    "Goodbye",
    "Heartbeat",
    "Hello",
    "Input",
    "InputAck",
    "Join",
    "Joined",
    "Leave",
    "MarkKind",
    "Message",
    "Mode",
    "ModelInfo",
    "Name",
    "Notice",
    "Open",
    "Phrase",
    "Prompt",
    "Reading",
    "Request",
    "Role",
    "Script",
    "Seed",
    "Slot",
    "Status",
    "Subscribe",
    "Subscribed",
    "Text",
    "Understood",
    "Unsubscribe",
    "Welcome",
    "WorldEntry",
    "WorldList",
    "Worlds",
]


class Heartbeat(Message, frozen=True, kw_only=True):
    """Sent both ways; the receiver sends it back with `reply` set. On the frame socket it comes with `reply` set."""

    sent: float
    reply: bool = False


class Goodbye(Message, frozen=True, kw_only=True):
    """The sender goes away; not answered."""


FromClient: TypeAlias = (
    Hello | Open | Join | Leave | Worlds | Prompt | Event | Input | Control | Displayed | Heartbeat | Goodbye
)
FromClientFrames: TypeAlias = Subscribe | Credit | Unsubscribe
FromServer: TypeAlias = (
    Welcome
    | WorldList
    | Joined
    | Ack
    | InputAck
    | Done
    | Applied
    | Status
    | Reading
    | Notice
    | Error
    | Heartbeat
    | Goodbye
)
FromServerFrames: TypeAlias = Subscribed | Frame | Heartbeat | Error
