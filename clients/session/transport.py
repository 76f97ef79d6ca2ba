"""The interface of transports, which carry a session's bytes. `ZmqTransport` and `InprocTransport` are included.

A session has two channels: control (requests, answers, heartbeats) and frames (headers with their pictures). The
connection's thread drives a transport like this, and nobody else calls it, except for `wake`:

    transport.connect()                  # a fresh control channel; a server sees a new client
    transport.send(hello)
    transport.wait(1.0)                  # until something arrives, `wake` is called, or the time is up
    welcome = transport.receive()        # None if nothing is there
    transport.connect_frames(announced)  # what `welcome.frames_endpoint` says
    header, picture = transport.receive_frames()
    transport.close()

`Session.connect` takes an endpoint or a transport. `docs/howto/add-a-transport.md` shows how to write one.
"""

from typing import Protocol


class Transport(Protocol):
    """Moves whole messages between one client and one server. It knows nothing of what they mean."""

    @property
    def endpoint(self) -> str:
        """Where the server is, as errors and logs name it."""
        ...

    def connect(self) -> None:
        """Open the control channel, and drop what was open before. Never waits for the server."""
        ...

    def connect_frames(self, announced: str) -> None:
        """Open the frame channel. `announced` is `welcome.frames_endpoint`. Raises `EndpointError`."""
        ...

    def send(self, data: bytes) -> bool:
        """Send on the control channel without waiting; return False if the channel takes no more."""
        ...

    def send_frames(self, data: bytes) -> bool:
        """Send on the frame channel without waiting; return False if the channel takes no more."""
        ...

    def receive(self) -> bytes | None:
        """Return the next control message, or None if nothing has arrived."""
        ...

    def receive_frames(self) -> list[memoryview] | None:
        """Return the parts of the next message of the frame channel, or None if nothing has arrived."""
        ...

    def wait(self, timeout_s: float) -> None:
        """Wait until something can be received on either channel, or `wake` is called, or the time is up."""
        ...

    def wake(self) -> None:
        """End a `wait`. The one method that other threads call, at any time, also after `close`."""
        ...

    def close(self) -> None:
        """Close both channels and free everything. What was sent last may still leave."""
        ...
