"""What a client sends, first on the control socket, then on the frame socket."""

from typing import Annotated

from msgspec import Meta

from longtake.protocol.fields import (
    VERSION_MAJOR,
    VERSION_MINOR,
    Action,
    Count,
    Delivery,
    Encoding,
    Message,
    Mode,
    Name,
    Phrase,
    Request,
    Role,
    Script,
    Seed,
    Text,
)


class Hello(Message, frozen=True, kw_only=True):
    """The first message of a client. The server answers with `welcome`, or with an `error` of code `version`."""

    version: tuple[int, int] = (VERSION_MAJOR, VERSION_MINOR)
    client: Phrase = ""


class Open(Message, frozen=True, kw_only=True):
    """Open a world and join it as a director. `prompt` is the base text; None takes the script's template."""

    request: Request
    model: Name = "diorama"
    seed: Seed = 0
    prompt: Text | None = None
    script: Script = Script()
    mode: Mode = "live"
    paused: bool = False
    readings: bool = False
    """True sends the probe's reading of every block; the model needs the capability "reading" """


class Join(Message, frozen=True, kw_only=True):
    """Join a running world. An empty `world` means the newest one."""

    request: Request
    world: Annotated[str, Meta(max_length=64)] = ""
    role: Role = "viewer"


class Leave(Message, frozen=True, kw_only=True):
    """Leave a world; it goes on without the client."""

    request: Request
    world: Name


class Worlds(Message, frozen=True, kw_only=True):
    """Ask for the list of running worlds."""

    request: Request


class Prompt(Message, frozen=True, kw_only=True):
    """Replace the base text and clear the slots, at the next possible block or the first one from `at_tick` on."""

    request: Request
    world: Name
    text: Text
    at_tick: Count | None = None
    cut_in: bool = False
    amend: bool | None = None
    """True keeps what was said before and adds the text, False replaces it; None goes by the text's wording"""


class Event(Message, frozen=True, kw_only=True):
    """Fire an event of the world's script."""

    request: Request
    world: Name
    name: Name
    at_tick: Count | None = None
    cut_in: bool = False


class Input(Message, frozen=True, kw_only=True):
    """Hold axes of the model at these values until they are changed. Axes that are not named stay as they are."""

    request: Request
    world: Name
    axes: dict[str, float]
    at_tick: Count | None = None


class Control(Message, frozen=True, kw_only=True):
    """Steer the loop. `ticks` for step (default one block) and advance (lockstep); `seed` for reset (None keeps it)."""

    request: Request
    world: Name
    action: Action
    ticks: Annotated[int, Meta(ge=1, le=100_000)] | None = None
    seed: Seed | None = None
    path: Annotated[str, Meta(max_length=200)] | None = None
    """record_start: name of the take file, inside the server's take folder"""


class Displayed(Message, frozen=True, kw_only=True):
    """Report that the first frame under a cue or an input has reached the client's screen."""

    world: Name
    cue: Count | None = None
    """None: it was an input"""
    event_to_photon_ms: Annotated[float, Meta(ge=0, le=600_000)]


# --- frame socket ------------------------------------------------------------------------------------------


class Subscribe(Message, frozen=True, kw_only=True):
    """Ask for a world's frames; answered by `subscribed`. Replaces an earlier subscription to that world."""

    request: Request
    session: Annotated[str, Meta(max_length=64)]
    world: Name
    delivery: Delivery = "latest"
    encoding: Encoding = "raw"
    credit: Annotated[int, Meta(ge=0, le=1024)] = 2


class Credit(Message, frozen=True, kw_only=True):
    """Let the server send that many more frames."""

    world: Name
    frames: Annotated[int, Meta(ge=1, le=1024)]


class Unsubscribe(Message, frozen=True, kw_only=True):
    """Ask for no more frames of a world."""

    world: Name
