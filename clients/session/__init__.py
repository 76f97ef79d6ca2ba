"""The session API: connect to a server, open or join worlds, steer and watch them."""

from longtake.clients.session.async_session import AsyncSession, AsyncWorld
from longtake.clients.session.connection import ConnectionState
from longtake.clients.session.options import OpenOptions, WatchOptions
from longtake.clients.session.picture import Picture
from longtake.clients.session.session import Session
from longtake.clients.session.transport import Transport
from longtake.clients.session.world import World
from longtake.clients.session.zmq_transport import InprocTransport, ZmqTransport

__all__ = [
    "AsyncSession",
    "AsyncWorld",
    "ConnectionState",
    "InprocTransport",
    "OpenOptions",
    "Picture",
    "Session",
    "Transport",
    "WatchOptions",
    "World",
    "ZmqTransport",
]
