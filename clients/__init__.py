"""Everything that talks to a server: the session API, the player, headless films and agents.

The session API is re-exported here. The others are `longtake.clients.player`, `.film` and `.agents`: each needs
packages that a session does not.
"""

from longtake.clients.session import (
    AsyncSession,
    AsyncWorld,
    ConnectionState,
    InprocTransport,
    OpenOptions,
    Picture,
    Session,
    Transport,
    WatchOptions,
    World,
    ZmqTransport,
)
from longtake.protocol.version import __version__

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
    "__version__",
]
