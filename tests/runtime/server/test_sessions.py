"""Who counts as gone: a client that falls silent, but not for a time in which the server itself was stopped."""

from typing import Any

import pytest

from longtake.runtime.server.limits import Limits
from longtake.runtime.server.sessions import Client, Sessions

HEARTBEAT_S = 2.0


class Sink:
    def send_multipart(self, parts: list[bytes], flags: int) -> None:
        """Take anything."""


@pytest.fixture
def sessions() -> Sessions:
    sink: Any = Sink()
    return Sessions(sink, Limits(), HEARTBEAT_S)


def beaten(sessions: Sessions, *times: float) -> Client:
    client = sessions.add(b"a", "a client", times[0])
    for now in times:
        sessions.beat(now)
    return client


def test_a_client_that_falls_silent_is_gone(sessions: Sessions) -> None:
    assert not beaten(sessions, 100, 102, 104, 106).gone
    sessions.beat(108)
    assert not list(sessions.all()) or all(client.gone for client in sessions.all())


def test_a_server_that_was_stopped_does_not_blame_its_clients(sessions: Sessions) -> None:
    client = beaten(sessions, 100, 102, 150, 152)
    assert not client.gone
    for now in (154, 156, 158):
        sessions.beat(now)
    assert client.gone, "it has had its time since"
