"""The transports over ZeroMQ: `tcp://` and `ipc://` to a server anywhere, `inproc://` to one in this process.

Everything of ZeroMQ in the clients is in this file.
"""

import logging
import math
import socket

import zmq

from longtake.clients.session.transport import Transport
from longtake.protocol import endpoints, sockets
from longtake.protocol.errors import EndpointError

logger = logging.getLogger(__name__)


class DealerTransport:
    """Two DEALER sockets in a context. See `Transport` for what each method does."""

    def __init__(self, endpoint: endpoints.Endpoint, context: sockets.Context, *, own_context: bool) -> None:
        """With `own_context`, `close` ends the context too."""
        self._endpoint = endpoint
        self._context = context
        self._own_context = own_context
        self._control: sockets.Socket | None = None
        self._frames: sockets.Socket | None = None
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._poller = zmq.Poller()

    @property
    def endpoint(self) -> str:
        """The control endpoint."""
        return str(self._endpoint)

    def connect(self) -> None:
        """Open a new control socket, which is a new identity for the server."""
        self._close_sockets()
        self._control = self._open(self._endpoint, sockets.CLIENT_CONTROL)

    def connect_frames(self, announced: str) -> None:
        """Open the frame socket: `announced` is a port, or an endpoint."""
        frames = endpoints.frames_connect(self._endpoint, announced)
        self._frames = self._open(frames, sockets.CLIENT_FRAMES)

    def send(self, data: bytes) -> bool:
        """Send on the control socket."""
        return _send(self._control, data)

    def send_frames(self, data: bytes) -> bool:
        """Send on the frame socket."""
        return _send(self._frames, data)

    def receive(self) -> bytes | None:
        """Return the next control message."""
        assert self._control is not None
        try:
            return self._control.recv_multipart(zmq.NOBLOCK)[0]
        except zmq.Again:
            return None

    def receive_frames(self) -> list[memoryview] | None:
        """Return the parts of the next message on the frame socket, without a copy."""
        assert self._frames is not None
        try:
            return [part.buffer for part in self._frames.recv_multipart(zmq.NOBLOCK, copy=False)]
        except zmq.Again:
            return None

    def wait(self, timeout_s: float) -> None:
        """Poll both sockets and the wake-up."""
        ready = dict(self._poller.poll(max(0, math.ceil(timeout_s * 1e3))))
        if ready.get(self._wake_out.fileno()):
            try:
                self._wake_out.recv(4096)
            except BlockingIOError:
                logger.debug("woken for nothing")

    def wake(self) -> None:
        """End a `wait`."""
        try:
            self._wake_in.send(b"w")
        except BlockingIOError:
            return  # it is full of wake-ups already
        except OSError:
            return  # closed

    def close(self) -> None:
        """Close the sockets; a context of our own waits until they have lingered."""
        self._close_sockets()
        if self._own_context:
            self._context.term()
        self._wake_in.close()
        self._wake_out.close()

    def _open(self, endpoint: endpoints.Endpoint, config: sockets.SocketConfig) -> sockets.Socket:
        opened = sockets.dealer(self._context, config)
        opened.connect(str(endpoint))
        self._poller.register(opened, zmq.POLLIN)
        return opened

    def _close_sockets(self) -> None:
        for opened in (self._control, self._frames):
            if opened is not None:
                opened.close()
        self._control = self._frames = None
        self._poller = zmq.Poller()
        self._poller.register(self._wake_out.fileno(), zmq.POLLIN)


class ZmqTransport(DealerTransport):
    """To a server anywhere: `tcp://HOST:PORT` or `ipc://PATH`."""

    def __init__(self, endpoint: str) -> None:
        """Raises `EndpointError`."""
        parsed = endpoints.parse_connect(endpoint)
        if parsed.scheme == "inproc":
            raise EndpointError(
                f"{endpoint} is reached through its server's zmq.Context: give InprocTransport(endpoint, context)"
            )
        super().__init__(parsed, zmq.Context(), own_context=True)


class InprocTransport(DealerTransport):
    """To a server in this process: `inproc://NAME`."""

    def __init__(self, endpoint: str, context: sockets.Context) -> None:
        """`context` is the server's own; it stays open when the session is closed. Raises `EndpointError`."""
        parsed = endpoints.parse_connect(endpoint)
        if parsed.scheme != "inproc":
            raise EndpointError(f"{endpoint} is not in this process: give the endpoint itself, without a context")
        super().__init__(parsed, context, own_context=False)


def transport_to(server: str | Transport) -> Transport:
    """Return the transport to an endpoint, or the one that was given. Raises `EndpointError`."""
    return ZmqTransport(server) if isinstance(server, str) else server


def _send(opened: sockets.Socket | None, data: bytes) -> bool:
    assert opened is not None
    try:
        opened.send(data, zmq.NOBLOCK)
    except zmq.Again:
        return False
    return True
