"""The client's connection: a thread that drives a transport, with hello, heartbeats and reconnecting.

Other threads hand messages in with `send` and `send_frames`. What arrives is handed to a `Receiver`, always on the
connection's own thread.
"""

import atexit
import logging
import math
import threading
import time
from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from longtake.clients.session.transport import Transport
from longtake.protocol import wire
from longtake.protocol.errors import (
    ConnectionFailed,
    ConnectionLost,
    LongtakeError,
    ProtocolError,
    Refused,
    SessionClosed,
    VersionMismatch,
)
from longtake.protocol.messages import (
    VERSION_MAJOR,
    VERSION_MINOR,
    Error,
    Frame,
    FromServer,
    FromServerFrames,
    Goodbye,
    Heartbeat,
    Hello,
    Message,
    Subscribed,
    Welcome,
)

logger = logging.getLogger(__name__)

SILENT_HEARTBEATS = 3
"""heartbeats without any message after which the server counts as gone"""
MAX_WAITING = 1000
"""messages that may wait to be sent; more means that the caller does not read the answers"""
TAKES_NO_MORE = "takes no more messages"
_FRAMES_AT_ONCE = 16
"""frames read between two looks at control, so that control never waits behind frames"""


@dataclass(frozen=True, kw_only=True)
class ConnectionConfig:
    """How a client connects and how long it waits."""

    client: str = "longtake-python"
    """what the server's log calls this client"""
    connect_s: float = 5.0
    """how long to wait for the first answer of the server"""
    reconnect_s: float = 60.0
    """how long to look for a lost server before giving up; 0 never reconnects"""

    def __post_init__(self) -> None:
        if not (0 < self.connect_s < math.inf and 0 <= self.reconnect_s < math.inf):
            raise ValueError("connect_s must be above 0 and reconnect_s at least 0 seconds")


class ConnectionState(Enum):
    """The state of a connection."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    RECONNECTING = "reconnecting"
    CLOSED = "closed"


class Receiver(Protocol):
    """Gets everything that arrives. Called on the connection's thread; must not block."""

    def on_welcome(self, welcome: Welcome, *, again: bool) -> None:
        """The server has welcomed this client, for the first time or after a loss."""

    def on_message(self, message: Message) -> None:
        """A control message arrived, or `subscribed` or `error` on the frame channel."""

    def on_frame(self, header: Frame, payload: memoryview) -> None:
        """A frame arrived."""

    def on_lost(self, error: LongtakeError) -> None:
        """The server is gone. Either the connection is made again, or `on_closed` follows."""

    def on_closed(self, error: LongtakeError) -> None:
        """The connection has ended for good."""


class _Gone(Exception):
    """The server fell silent or does not know this connection."""


class Connection:
    """A connection that keeps itself alive. `start`, then `wait_connected`; `close` ends its thread."""

    def __init__(self, config: ConnectionConfig, receiver: Receiver, transport: Transport) -> None:
        self._config = config
        self._receiver = receiver
        self._transport = transport
        self._endpoint = transport.endpoint
        self.state = ConnectionState.CONNECTING
        self.rtt_ms = 0.0
        """round trip of the latest heartbeat"""
        self._heartbeat_s = 1.0
        self._heard = 0.0
        self._first_answer = threading.Event()
        self._failure: LongtakeError | None = None
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._outgoing: deque[tuple[bool, bytes]] = deque()
        self._thread = threading.Thread(target=self._run, name="longtake-connection", daemon=True)

    def start(self) -> None:
        """Begin to connect."""
        atexit.register(self.close)
        self._thread.start()

    def wait_connected(self) -> None:
        """Wait for the first welcome. Raises `ConnectionFailed`, `VersionMismatch` or what the server refused with."""
        in_time = self._first_answer.wait(self._config.connect_s + 1.0)
        if self._failure is not None:
            raise self._failure
        if not in_time:
            raise self._no_answer()

    def send(self, data: bytes) -> None:
        """Send an encoded message on the control channel. Raises `ConnectionLost` or `SessionClosed`."""
        self._hand_in(False, data)

    def send_frames(self, data: bytes) -> None:
        """Send an encoded message on the frame channel. Raises `ConnectionLost` or `SessionClosed`."""
        self._hand_in(True, data)

    def close(self) -> None:
        """Say goodbye, end the thread and close the transport. Harmless when repeated."""
        self._closing.set()
        self._transport.wake()
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join(timeout=5.0)
        atexit.unregister(self.close)

    # --- what other threads may touch ----------------------------------------------------------------------

    def _hand_in(self, to_frames: bool, data: bytes) -> None:
        with self._lock:
            if self.state is ConnectionState.CLOSED or self._closing.is_set():
                raise self._failure or SessionClosed()
            if self.state is not ConnectionState.CONNECTED:
                raise ConnectionLost(f"the connection to {self._endpoint} is lost and being made again; retry soon")
            if len(self._outgoing) >= MAX_WAITING:
                raise ConnectionLost(f"{MAX_WAITING} messages wait for {self._endpoint}; wait for answers in between")
            self._outgoing.append((to_frames, data))
        self._transport.wake()

    # --- the thread ----------------------------------------------------------------------------------------

    def _run(self) -> None:
        failure: LongtakeError = SessionClosed()
        try:
            self._live()
        except LongtakeError as error:
            failure = error
        except Exception as error:
            logger.exception("the connection to %s failed", self._endpoint)
            failure = ConnectionLost(f"the connection to {self._endpoint} failed: {error}")
        finally:
            with self._lock:
                self.state = ConnectionState.CLOSED
                self._failure = failure
            self._transport.close()
            self._receiver.on_closed(failure)
            self._first_answer.set()

    def _live(self) -> None:
        """Connect, serve, and reconnect until closed. Raises the reason for the end."""
        patience_s, again = self._config.connect_s, False
        while not self._closing.is_set():
            welcome = self._connect(patience_s, again)
            if welcome is None:
                return
            with self._lock:
                self._outgoing.clear()
                self.state = ConnectionState.CONNECTED
            self._receiver.on_welcome(welcome, again=again)
            self._first_answer.set()
            try:
                self._serve()
                return
            except _Gone as reason:
                if self._closing.is_set():
                    return
                lost = ConnectionLost(f"{self._endpoint} {reason}")
            with self._lock:
                self.state = ConnectionState.RECONNECTING
            patience_s, again = self._config.reconnect_s, True
            # without patience the error says it
            logger.log(logging.WARNING if patience_s else logging.INFO, "%s", lost)
            self._receiver.on_lost(lost)
            if patience_s == 0:
                raise lost

    def _connect(self, patience_s: float, again: bool) -> Welcome | None:
        """Say hello until a welcome arrives; return None if closed meanwhile. Each try is a new client."""
        give_up = time.monotonic() + patience_s
        while not self._closing.is_set():
            self._transport.connect()
            hello = Hello(version=(VERSION_MAJOR, VERSION_MINOR), client=self._config.client)
            self._transport.send(wire.encode_checked(hello))
            attempt_ends = min(give_up, time.monotonic() + max(1.0, 2 * self._heartbeat_s))
            welcome = self._wait_welcome(give_up if not again else attempt_ends)
            if welcome is not None:
                self._transport.connect_frames(welcome.frames_endpoint)
                self._heartbeat_s = min(60.0, max(0.05, welcome.heartbeat_s))
                self._heard = time.monotonic()
                return welcome
            if time.monotonic() >= give_up and not self._closing.is_set():
                raise self._no_answer()
        return None

    def _wait_welcome(self, until: float) -> Welcome | None:
        while not self._closing.is_set() and (left_s := until - time.monotonic()) > 0:
            data = self._transport.receive()
            if data is None:
                self._transport.wait(left_s)
                continue
            message = self._decode(data, FromServer)
            if isinstance(message, Welcome):
                if message.version[0] != VERSION_MAJOR:
                    raise VersionMismatch(
                        f"{self._endpoint} speaks protocol {message.version[0]}.{message.version[1]}, this client "
                        f"{VERSION_MAJOR}.{VERSION_MINOR}: use a client that speaks {message.version[0]}.x"
                    )
                return message
            if isinstance(message, Error):
                if message.code == "version":
                    raise VersionMismatch(message.message)
                if message.code == "unknown_type":
                    raise ConnectionFailed(
                        f"{self._endpoint} is where a Longtake server sends its frames; connect to its control "
                        "endpoint, whose port is usually one lower"
                    )
                if not message.retryable:
                    raise Refused(message.code, message.message)
                logger.warning("%s: %s", self._endpoint, message.message)
        return None

    def _serve(self) -> None:
        """Move messages until closed (returns) or the server is gone (raises `_Gone`)."""
        next_heartbeat = time.monotonic()
        while not self._closing.is_set():
            now = time.monotonic()
            if now >= next_heartbeat:
                self._put(Heartbeat(sent=now))
                next_heartbeat = now + self._heartbeat_s
            self._transport.wait(next_heartbeat - now)
            self._read_control()
            self._read_frames()
            self._write()
            # Checked only after reading: a client that was asleep must not blame the server.
            now = time.monotonic()
            if now - next_heartbeat > self._heartbeat_s:
                # This side was stopped, as with a suspended machine, and the server may have been stopped with it.
                self._heard += now - next_heartbeat
            silent_s = now - self._heard
            if silent_s > SILENT_HEARTBEATS * self._heartbeat_s and not self._read_control():
                raise _Gone(f"has been silent for {silent_s:.1f} s")
        self._put(Goodbye())

    def _read_control(self) -> bool:
        """Pass on the control messages that have arrived; return whether there were any."""
        some = False
        while (data := self._transport.receive()) is not None:
            some = True
            self._heard = time.monotonic()
            message = self._decode(data, FromServer)
            if isinstance(message, Heartbeat):
                self._answer_heartbeat(message)
            elif isinstance(message, Goodbye):
                raise _Gone("said goodbye")
            elif isinstance(message, Error) and message.code == "hello_first":
                raise _Gone("does not know this connection any more")
            elif message is not None:
                self._receiver.on_message(message)
        return some

    def _answer_heartbeat(self, message: Heartbeat) -> None:
        if message.reply:
            self.rtt_ms = max(0.0, (time.monotonic() - message.sent) * 1e3)
        else:
            self._put(Heartbeat(sent=message.sent, reply=True))

    def _read_frames(self) -> None:
        for _ in range(_FRAMES_AT_ONCE):
            parts = self._transport.receive_frames()
            if parts is None:
                return
            message = self._decode(parts[0], FromServerFrames)
            if isinstance(message, Frame):
                if len(parts) == 2:
                    self._receiver.on_frame(message, parts[1])
                else:
                    logger.warning("frame %d came with %d parts instead of 2", message.number, len(parts))
            elif isinstance(message, Error) and message.code == "unknown_session":
                raise _Gone("does not know this session any more")
            elif isinstance(message, Error | Subscribed):
                self._receiver.on_message(message)

    def _write(self) -> None:
        while True:
            with self._lock:
                if not self._outgoing:
                    return
                to_frames, data = self._outgoing.popleft()
            send = self._transport.send_frames if to_frames else self._transport.send
            if not send(data):
                raise _Gone(TAKES_NO_MORE)

    def _put(self, message: Message) -> None:
        if not self._transport.send(wire.encode(message)):
            raise _Gone(TAKES_NO_MORE)

    def _decode(self, data: bytes | memoryview, union: object) -> Message | None:
        """Return the message, or None if this client does not know it (a newer minor version)."""
        try:
            return wire.decode(data, union)  # type: ignore[no-any-return]
        except ProtocolError as error:
            logger.warning("%s sent something unreadable: %s", self._endpoint, error)
            return None

    def _no_answer(self) -> ConnectionFailed:
        return ConnectionFailed(
            f"no Longtake server answers at {self._endpoint}; start one with `longtake serve` or correct the endpoint"
        )
