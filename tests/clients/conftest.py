"""Fixtures for the tests of the clients."""

from collections.abc import Iterator
from typing import Any

import pytest
import zmq

from tests.clients.fake_server import FakeServer


@pytest.fixture(params=["inproc", "tcp"])
def fake_server(request: pytest.FixtureRequest) -> Iterator[FakeServer]:
    """A fake server in this process and one on a loopback port, with heartbeats of a module's HEARTBEAT_S."""
    context: Any = zmq.Context()
    endpoint = "inproc://fake" if request.param == "inproc" else "tcp://127.0.0.1:0"
    with FakeServer(endpoint, context, heartbeat_s=getattr(request.module, "HEARTBEAT_S", 1.0)) as server:
        yield server
    context.term()  # hangs, and so fails by its time limit, if a client left a socket open
