"""How a session reaches the server of a test."""

from typing import Any

from longtake.clients.session import InprocTransport


def reach(server: Any) -> str | InprocTransport:
    """Return what a session connects to: the endpoint, or a transport if the server is reached through its context."""
    if server.endpoint.startswith("inproc:"):
        return InprocTransport(server.endpoint, server.context)
    return str(server.endpoint)
