"""The server: two sockets, the generator, and the loop that keeps every world's tick.

    server = Server(ServerConfig(endpoint="tcp://127.0.0.1:5570"))
    server.bind()                # raises ServerError if the port is taken
    server.run(stop)             # until the threading.Event is set

Imports no torch: the models live in the generator. One thread, never blocked for longer than to the next deadline.
"""

import logging
import platform
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import zmq

from longtake.protocol import sockets
from longtake.protocol.endpoints import DEFAULT_ENDPOINT, frames_announcement, frames_bind, parse_bind
from longtake.protocol.errors import LongtakeError, Refused, error_message
from longtake.protocol.messages import (
    VERSION_MAJOR,
    VERSION_MINOR,
    Credit,
    Error,
    FromClientFrames,
    Goodbye,
    Subscribe,
    Unsubscribe,
)
from longtake.protocol.version import __version__
from longtake.protocol.wire import decode_parts
from longtake.runtime.clock import Clock, MonotonicClock, wait_until
from longtake.runtime.generator.hosts import GeneratorHost, GeneratorHostConfig, ProcessHost, ThreadHost
from longtake.runtime.generator.pool import GeneratorPool
from longtake.runtime.generator.supervisor import Supervisor
from longtake.runtime.server.binding import SocketFile, bind, require_free
from longtake.runtime.server.jpeg_thread import JpegThread
from longtake.runtime.server.limits import Limits
from longtake.runtime.server.publisher import Publisher
from longtake.runtime.server.requests import RequestHandler
from longtake.runtime.server.sessions import Sessions
from longtake.runtime.server.world_room import ServerPorts
from longtake.runtime.server.world_table import WorldTable, WorldTableConfig

log = logging.getLogger(__name__)

MESSAGES_AT_ONCE = 32
"""messages read from one socket between two looks at the clock"""
LONGEST_WAIT_S = 0.1
"""between two looks at the generator's health and at `stop`"""
CLOSE_TO_DEADLINE_S = 0.0015
"""this close to a deadline the loop sleeps and spins, because polling is only accurate to a millisecond"""
READ_S = 0.02
"""nor is more read once this much time went into them: a large message takes as long as hundreds of small ones"""
FLOOD_PAUSE_S = 0.004
"""how long a socket is not read after that, so that a flood does not take the whole processor; longer if more than
`READ_S` went into it"""


@dataclass(frozen=True, kw_only=True)
class ServerConfig:
    """Everything a server is started with."""

    endpoint: str = DEFAULT_ENDPOINT
    generator: GeneratorHostConfig = field(default_factory=GeneratorHostConfig)
    in_process: bool = False
    """the generator runs as a thread here instead of a process of its own"""
    takes: Path = Path("takes")
    """folder of the take files"""
    keep_s: float = 60.0
    """how long a world without members is kept"""
    heartbeat_s: float = 2.0
    snapshot_every_s: float = 5.0
    limits: Limits = field(default_factory=Limits)


class Server:
    """See the module's docstring. `bind`, then `run` in any one thread."""

    def __init__(
        self,
        config: ServerConfig,
        *,
        clock: Clock | None = None,
        context: sockets.Context | None = None,
        hosts: Sequence[GeneratorHost] = (),
    ) -> None:
        """Each of `hosts` runs one generator. Without any, one generator runs as `config` says."""
        self.config = config
        self.clock = clock or MonotonicClock()
        self.endpoint = ""
        """where clients connect; set by `bind`"""
        self._socket_files: list[SocketFile] = []
        self._context = context or zmq.Context.instance()
        self._control = sockets.router(self._context, sockets.SERVER_CONTROL)
        self._frames = sockets.router(self._context, sockets.SERVER_FRAMES)
        generator = config.generator
        if not hosts:
            hosts = [ThreadHost(generator, self._context) if config.in_process else ProcessHost(generator)]
        self.pool = GeneratorPool(
            [Supervisor(config=generator, host=host, context=self._context, clock=self.clock) for host in hosts]
        )
        self.sessions = Sessions(self._control, config.limits, config.heartbeat_s)
        self._jpegs = JpegThread(self._context)
        self.publisher = Publisher(self._frames, self.clock, config.limits, self._jpegs, self.sessions.send)
        self.worlds = WorldTable(
            WorldTableConfig(
                takes=config.takes,
                keep_s=config.keep_s,
                snapshot_every_s=config.snapshot_every_s,
                limits=config.limits,
                options=tuple(generator.options.items()),
                versions=versions(),
            ),
            self.pool,
            ServerPorts(sessions=self.sessions, publisher=self.publisher, clock=self.clock),
        )
        self._requests: RequestHandler | None = None
        self._left_alone: dict[sockets.Socket, float] = {}

    def bind(self) -> None:
        """Take the two endpoints. Raises `ServerError` or `EndpointError` in one line."""
        try:
            control = parse_bind(self.config.endpoint)
            # Derived from the requested endpoint: with port 0 the system chooses both.
            beside = frames_bind(control)
            require_free(beside, f"the endpoint for frames beside {control}, ")
            control = bind(self._control, control)
            frames = bind(self._frames, beside, f"the endpoint for frames beside {control}, ")
        except LongtakeError:
            self._control.close()
            self._frames.close()
            self._jpegs.close()
            self.pool.stop()
            raise
        self._socket_files = [file for file in map(SocketFile.of, (control, frames)) if file is not None]
        self.endpoint = str(control)
        self._requests = RequestHandler(
            sessions=self.sessions,
            worlds=self.worlds,
            pool=self.pool,
            clock=self.clock,
            limits=self.config.limits,
            frames_endpoint=frames_announcement(frames),
            server=f"longtake {dict(versions())['longtake']}",
        )

    def run(self, stop: threading.Event, on_ready: "threading.Event | None" = None) -> None:
        """Serve until `stop` is set; `on_ready` is set when the generator is. Raises `GeneratorFailed`."""
        try:
            self.pool.start()
            while not stop.is_set():
                self.turn()
                if on_ready is not None and self.pool.models and not on_ready.is_set():
                    on_ready.set()
        finally:
            self.close()

    def turn(self) -> None:
        """One round of the loop: wait for messages or a deadline, then do what there is to do."""
        self._wait_and_read()
        self._from_generator()
        for generator in self.pool.watch():
            self.worlds.generator_lost(generator)
        deadline = self.worlds.next_deadline()
        if deadline is not None and 0 < deadline - self.clock.now() <= CLOSE_TO_DEADLINE_S:
            wait_until(self.clock, deadline)
        self.worlds.service()
        self.publisher.encoded()
        self.publisher.watch()
        self.worlds.give_turns()
        self.sessions.beat(self.clock.now())
        for client in self.sessions.all():
            if client.gone:
                self.worlds.forget(client)
                self.sessions.remove(client)

    def close(self) -> None:
        """Say goodbye to all clients, end the generators and free the sockets."""
        self.worlds.close_all("the server is closing")
        for client in self.sessions.all():
            self.sessions.send(client, Goodbye())
        self._control.close(linger=200)
        self._frames.close(linger=0)
        for file in self._socket_files:
            file.remove()
        self._jpegs.close()
        self.pool.stop()

    # --- inside --------------------------------------------------------------------------------------------

    def _wait_and_read(self) -> None:
        ready = self._poll()
        if self._control in ready:
            self._read(self._control, self._read_control)
        if self._frames in ready:
            self._read(self._frames, self._read_frames)

    def _poll(self) -> set[object]:
        now = self.clock.now()
        wait_s = self._wait_s(now)
        poller = zmq.Poller()
        poller.register(self._jpegs.socket, zmq.POLLIN)
        for socket in (self._control, self._frames):
            if self._left_alone.get(socket, 0.0) <= now:
                poller.register(socket, zmq.POLLIN)
            else:
                wait_s = min(wait_s, self._left_alone[socket] - now)
        for socket in self.pool.sockets:
            poller.register(socket, zmq.POLLIN)
        return {socket for socket, _ in poller.poll(max(0, int(wait_s * 1000 - 0.3)))}

    def _wait_s(self, now: float) -> float:
        times = (
            self.worlds.next_deadline(),
            self.worlds.next_turn(),
            self.worlds.next_status(),
            self.sessions.next_beat,
        )
        return max(0.0, min([LONGEST_WAIT_S, *(time - now for time in times if time is not None)]))

    def _read(self, socket: sockets.Socket, handle: Callable[[bytes, list[bytes]], None]) -> None:
        """Read messages for a limited time. ZeroMQ reads from all connections in turn, so no client is left out."""
        begun = self.clock.now()
        spent = 0.0
        for _ in range(MESSAGES_AT_ONCE):
            try:
                identity, *parts = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            handle(identity, parts)
            spent = self.clock.now() - begun
            if spent > READ_S:
                break
        self._left_alone[socket] = self.clock.now() + (spent if spent > READ_S else FLOOD_PAUSE_S)

    def _read_control(self, identity: bytes, parts: list[bytes]) -> None:
        assert self._requests is not None
        self._requests.handle(identity, parts)

    def _read_frames(self, identity: bytes, parts: list[bytes]) -> None:
        request: int | None = None
        message: FromClientFrames | None = None
        try:
            message = decode_parts(parts, FromClientFrames)
            request = getattr(message, "request", None)
            if isinstance(message, Subscribe):
                self._subscribe(identity, message)
            elif isinstance(message, Credit):
                self.publisher.credit(identity, message.world, message.frames)
            elif isinstance(message, Unsubscribe):
                self.publisher.unsubscribe(identity, message.world)
        except LongtakeError as error:
            # Credit has no request number, so its error names the world instead.
            world = message.world if isinstance(message, Credit) else None
            self.publisher.send(identity, msgspec.structs.replace(error_message(error, request), world=world))
        except Exception:  # a bug here must not end everybody's worlds
            log.exception("a message on the frame socket could not be carried out")
            text = "a fault in the server, see its log; try again"
            self.publisher.send(identity, Error(code="internal", message=text, retryable=True, request=request))

    def _subscribe(self, identity: bytes, message: Subscribe) -> None:
        client = self.sessions.by_token(message.session)
        if client is None:
            raise Refused("unknown_session", "the server knows no such session; say hello again")
        room = self.worlds.of_member(client, message.world)
        config = room.world.config
        self.publisher.subscribe(
            client=client,
            identity=identity,
            world=message.world,
            delivery=message.delivery,
            encoding=message.encoding,
            credit=message.credit,
            mode=config.mode,
            frame_bytes=config.model.height * config.model.width * 3,
        )
        self.publisher.send(identity, room.subscribed(message))
        self.publisher.begin(client, message.world)

    def _from_generator(self) -> None:
        for generator, message, part in self.pool.received():
            self.worlds.from_generator(generator, message, part.buffer if part is not None else None)


def versions() -> tuple[tuple[str, str], ...]:
    """Return the versions that a take file records."""
    return (
        ("longtake", __version__),
        ("protocol", f"{VERSION_MAJOR}.{VERSION_MINOR}"),
        ("python", platform.python_version()),
    )
