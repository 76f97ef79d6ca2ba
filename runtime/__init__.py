"""Hosts worlds: the server, the generator process, worlds and their ticks, takes, and the command line.

The public names are imported when they are first used: the command line must start fast.
"""

import importlib
from typing import TYPE_CHECKING

from longtake.protocol.version import __version__

if TYPE_CHECKING:
    from longtake.runtime.generator.hosts import GeneratorHostConfig
    from longtake.runtime.server.binding import ServerError
    from longtake.runtime.server.local import LocalServer, local_server, server_thread
    from longtake.runtime.server.loop import Server, ServerConfig
    from longtake.runtime.takes.file import Take, TakeError, read_take
    from longtake.runtime.takes.replay import replay

__all__ = [
    "GeneratorHostConfig",
    "LocalServer",
    "Server",
    "ServerConfig",
    "ServerError",
    "Take",
    "TakeError",
    "__version__",
    "local_server",
    "read_take",
    "replay",
    "server_thread",
]

_HOMES = {
    "GeneratorHostConfig": "generator.hosts",
    "LocalServer": "server.local",
    "Server": "server.loop",
    "ServerConfig": "server.loop",
    "ServerError": "server.binding",
    "Take": "takes.file",
    "TakeError": "takes.file",
    "local_server": "server.local",
    "read_take": "takes.file",
    "replay": "takes.replay",
    "server_thread": "server.local",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
