"""What clients ask for on the control socket, message by message."""

import logging
from collections.abc import Callable
from typing import Any

from longtake.protocol.errors import LongtakeError, Refused, error_message
from longtake.protocol.messages import (
    VERSION_MAJOR,
    VERSION_MINOR,
    Control,
    Displayed,
    Error,
    Event,
    FromClient,
    Goodbye,
    Heartbeat,
    Hello,
    Input,
    Join,
    Leave,
    Message,
    Open,
    Prompt,
    Welcome,
    WorldList,
    Worlds,
)
from longtake.protocol.wire import decode_parts, peek_request
from longtake.runtime.clock import Clock
from longtake.runtime.generator.pool import GeneratorPool
from longtake.runtime.server.limits import Limits
from longtake.runtime.server.sessions import Client, Sessions
from longtake.runtime.server.world_room import WorldRoom
from longtake.runtime.server.world_table import WorldTable
from longtake.runtime.world.effects import Requester

log = logging.getLogger(__name__)

SMALL_BYTES = 1024
"""signs of life are smaller; a larger message beyond a client's rate is refused without being read, which takes long"""


class RequestHandler:
    """Decodes, checks and carries out control messages, and answers them."""

    def __init__(
        self,
        *,
        sessions: Sessions,
        worlds: WorldTable,
        pool: GeneratorPool,
        clock: Clock,
        limits: Limits,
        frames_endpoint: str,
        server: str,
    ) -> None:
        self._sessions = sessions
        self._table = worlds
        self._pool = pool
        self._clock = clock
        self._limits = limits
        self._frames_endpoint = frames_endpoint
        self._server = server
        self._handlers: dict[type[Message], Callable[[Client, Any], None]] = {
            Open: self._open,
            Join: self._join,
            Leave: self._leave,
            Worlds: self._worlds,
            Prompt: self._prompt,
            Event: self._event,
            Input: self._input,
            Control: self._control,
            Displayed: self._displayed,
            Heartbeat: self._heartbeat,
            Goodbye: self._goodbye,
        }

    def handle(self, identity: bytes, parts: list[bytes]) -> None:
        """Carry out one message of a connection. A bad message gets an error and has no other effect."""
        client = self._sessions.by_identity(identity)
        admitted = client is None or self._admit(client)
        request: int | None = None
        try:
            if not admitted and sum(map(len, parts)) > SMALL_BYTES:
                request = peek_request(parts[0])
                raise self._too_fast()
            message = decode_parts(parts, FromClient)
            request = getattr(message, "request", None)
            # Signs of life are always taken, so that a client is not given up for asking too much.
            if not admitted and not isinstance(message, Heartbeat | Goodbye):
                raise self._too_fast()
            if isinstance(message, Hello):
                self._hello(identity, message)
            elif client is None:
                if not isinstance(message, Heartbeat | Goodbye):
                    raise Refused("hello_first", "the server does not know this connection; send hello first")
                if isinstance(message, Heartbeat):
                    self._sessions.send_to(identity, _hello_first())
            else:
                self._handlers[type(message)](client, message)
        except LongtakeError as error:
            self._report(client, identity, error_message(error, request))
        except Exception:  # a bug here must not end everybody's worlds
            log.exception("a request could not be carried out")
            text = "a fault in the server, see its log; try again"
            self._report(client, identity, Error(code="internal", message=text, retryable=True, request=request))

    # --- handlers ------------------------------------------------------------------------------------------

    def _hello(self, identity: bytes, message: Hello) -> None:
        if message.version[0] != VERSION_MAJOR:
            raise Refused(
                "version",
                f"the server speaks protocol {VERSION_MAJOR}.{VERSION_MINOR}, the client "
                f"{message.version[0]}.{message.version[1]}: use a client that speaks {VERSION_MAJOR}.x",
            )
        client = self._sessions.by_identity(identity)
        if client is None:
            if self._sessions.full:
                raise Refused("too_many", f"the server has {len(self._sessions)} clients, the most it takes")
            client = self._sessions.add(identity, message.client, self._clock.now())
            log.info("client %s connected", client.name or client.token[:6])
        client.minor = message.version[1]
        welcome = Welcome(
            version=(VERSION_MAJOR, VERSION_MINOR),
            server=self._server,
            session=client.token,
            frames_endpoint=self._frames_endpoint,
            models=self._pool.models,
            heartbeat_s=self._sessions.heartbeat_s,
            limits=self._limits.announced(),
        )
        self._sessions.send(client, welcome)

    def _open(self, client: Client, message: Open) -> None:
        self._spend(client)
        self._table.open(client, message)

    def _join(self, client: Client, message: Join) -> None:
        self._table.join(client, message.world, message.role, message.request)

    def _leave(self, client: Client, message: Leave) -> None:
        room = self._table.leave(client, message.world)
        self._sessions.send(client, room.world.done(message.request))

    def _worlds(self, client: Client, message: Worlds) -> None:
        self._sessions.send(client, WorldList(request=message.request, worlds=self._table.entries()))

    def _prompt(self, client: Client, message: Prompt) -> None:
        self._cue(client, message, "prompt", message.text)

    def _event(self, client: Client, message: Event) -> None:
        self._cue(client, message, "event", message.name)

    def _cue(self, client: Client, message: Prompt | Event, kind: Any, label: str) -> None:
        room = self._table.of_member(client, message.world, steer=True)
        self._spend(client)
        ack = room.world.cue(
            kind,
            label,
            at_tick=message.at_tick,
            cut_in=message.cut_in,
            request=message.request,
            amend=message.amend if isinstance(message, Prompt) else None,
            now=self._clock.now(),
        )
        self._sessions.send(client, ack)
        self._table.settle(room)

    def _input(self, client: Client, message: Input) -> None:
        room = self._table.of_member(client, message.world, steer=True)
        ack = room.world.hold(message.axes, at_tick=message.at_tick, who=client.token, request=message.request)
        self._sessions.send(client, ack)

    def _control(self, client: Client, message: Control) -> None:
        room = self._table.of_member(client, message.world, steer=True)
        world = room.world
        now = self._clock.now()
        who = Requester(client=client, request=message.request)
        detail: str | None = ""
        if message.action == "pause":
            world.pause()
        elif message.action == "resume":
            world.resume(now)
        elif message.action == "reset":
            self._spend(client)
            world.reset(message.seed)
        elif message.action == "record_start":
            detail = self._record_start(room, message)
        elif message.action == "record_stop":
            detail = self._record_stop(room)
        elif message.action == "close":
            self._sessions.send(client, world.done(message.request))
            world.close(f"closed by {client.name or 'a director'}")
            detail = None
        else:
            (world.step if message.action == "step" else world.advance)(message.ticks, who, now)
            detail = None  # the answer follows when the frames were shown
        if detail is not None:
            self._sessions.send(client, world.done(message.request, detail))
        self._table.settle(room)

    def _record_start(self, room: WorldRoom, message: Control) -> str:
        world = room.world
        name = room.recorder.start(message.path or world.take_name, world.records())
        world.notice("recording", f"recording {name}")
        world.changed = True
        return name

    def _record_stop(self, room: WorldRoom) -> str:
        room.world.changed = True
        name = room.recorder.stop(room.world.tick)
        if not name:
            raise Refused("recording", "nothing is being recorded")
        room.world.notice("recording", f"{name} is complete")
        return name

    def _displayed(self, client: Client, message: Displayed) -> None:
        room = self._table.of_member(client, message.world)
        photon_ms = room.world.input_photon_ms if message.cue is None else room.world.photon_ms
        photon_ms.add(message.event_to_photon_ms)

    def _heartbeat(self, client: Client, message: Heartbeat) -> None:
        if not message.reply:
            self._sessions.send(client, Heartbeat(sent=message.sent, reply=True))

    def _goodbye(self, client: Client, message: Goodbye) -> None:
        log.info("client %s says goodbye", client.name or client.token[:6])
        client.gone = True

    # --- inside --------------------------------------------------------------------------------------------

    def _report(self, client: Client | None, identity: bytes, error: Error) -> None:
        """Send an error. A client that cannot take it counts as gone, as with every answer."""
        if client is not None:
            self._sessions.send(client, error)
        else:
            self._sessions.send_to(identity, error)

    def _spend(self, client: Client) -> None:
        """Charge for requests that cost generator time: cues, resets, new worlds. Raises `Refused("too_fast")`."""
        if not client.cues.take(self._clock.now()):
            limit = self._limits.cues_per_second
            raise Refused("too_fast", f"more than {limit} cues per second from one client; send it again later")

    def _admit(self, client: Client) -> bool:
        """Note that the client lives, and return whether it keeps within the rate of messages."""
        client.heard = self._clock.now()
        return client.messages.take(client.heard)

    def _too_fast(self) -> Refused:
        limit = self._limits.messages_per_second
        return Refused("too_fast", f"more than {limit} messages per second from one client; send it again later")


def _hello_first() -> Error:
    return error_message(Refused("hello_first", "the server does not know this connection; send hello first"))
