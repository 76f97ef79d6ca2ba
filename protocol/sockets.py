"""The one place that makes ZeroMQ sockets, for server, clients and generators, so that none of them lacks a limit.

Encryption (CURVE) belongs here too: what a socket needs for it is an option like the others.
"""

from dataclasses import dataclass
from typing import TypeAlias

import zmq

from longtake.protocol.wire import MAX_PICTURE_BYTES, MAX_SOCKET_BYTES

Socket: TypeAlias = zmq.Socket[bytes]
Context: TypeAlias = zmq.Context[zmq.Socket[bytes]]


@dataclass(frozen=True, kw_only=True)
class SocketConfig:
    """Options of one kind of socket."""

    linger_ms: int = 0
    """how long `close` may go on sending what is queued"""
    max_message_bytes: int = -1
    """a peer that sends a larger part is disconnected; -1 has no limit, for our own processes only"""
    send_queue: int = 1000
    """messages queued for one peer; more are refused"""
    receive_queue: int = 1000
    """messages queued from one peer; the peer has to wait beyond it"""

    def __post_init__(self) -> None:
        if self.linger_ms < 0 or self.send_queue < 1 or self.receive_queue < 1 or self.max_message_bytes < -1:
            raise ValueError(f"impossible socket options: {self}")


SERVER_CONTROL = SocketConfig(max_message_bytes=MAX_SOCKET_BYTES, receive_queue=256)
SERVER_FRAMES = SocketConfig(max_message_bytes=MAX_SOCKET_BYTES, send_queue=64)
"""a full send queue counts as no credit"""
CLIENT_CONTROL = SocketConfig(max_message_bytes=MAX_SOCKET_BYTES, linger_ms=200)
"""lingers so that a last goodbye leaves"""
CLIENT_FRAMES = SocketConfig(max_message_bytes=MAX_PICTURE_BYTES, linger_ms=200)
SUPERVISOR = SocketConfig()
GENERATOR = SocketConfig(linger_ms=500)
"""lingers so that the reason why a generator ends reaches the server"""


def router(context: Context, config: SocketConfig) -> Socket:
    """Return a ROUTER socket. Sending to a peer that is gone is an error (EHOSTUNREACH), not a silent loss."""
    socket = _socket(context, zmq.ROUTER, config)
    socket.router_mandatory = 1
    return socket


def dealer(context: Context, config: SocketConfig) -> Socket:
    """Return a DEALER socket."""
    return _socket(context, zmq.DEALER, config)


def pair(context: Context) -> Socket:
    """Return a PAIR socket, for two threads of one process."""
    return _socket(context, zmq.PAIR, SocketConfig())


def _socket(context: Context, kind: int, config: SocketConfig) -> Socket:
    socket: Socket = context.socket(kind)
    socket.linger = config.linger_ms
    socket.maxmsgsize = config.max_message_bytes
    socket.sndhwm = config.send_queue
    socket.rcvhwm = config.receive_queue
    return socket
