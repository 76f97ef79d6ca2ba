"""The exceptions and error codes of Longtake.

    LongtakeError                 everything below; `code`, `message`, `retryable`, `request`
    ├── ProtocolError             bytes, or a message about to be sent, break the protocol
    ├── EndpointError             an endpoint is malformed, or may not be bound
    ├── VersionMismatch           the two sides speak different major versions
    ├── ConnectionFailed          no server answers
    ├── ConnectionLost            the server stopped answering, or the connection is being made again
    ├── RequestTimeout            an answer, a picture or an event did not come in time
    ├── SessionClosed             the session was closed on this side
    ├── WorldClosed               the world has ended
    └── Refused                   the server answered with an `error` message

`code` is stable and meant for programs. `message` is one line for people and says what to do. A server raises
`Refused(code, message)` to answer with an error; `error_message` turns any of them into that answer.
"""

from dataclasses import dataclass

from longtake.protocol.messages import Error


@dataclass(frozen=True, kw_only=True)
class ErrorCode:
    """What a code means, and whether the same request may succeed later."""

    meaning: str
    retryable: bool = False


ERROR_CODES: dict[str, ErrorCode] = {
    "malformed": ErrorCode(meaning="the bytes are not one MessagePack map within the limits"),
    "too_large": ErrorCode(meaning="the message is larger than the receiver accepts"),
    "unknown_type": ErrorCode(meaning="no message of this type is accepted on this socket"),
    "invalid": ErrorCode(meaning="a field is missing, has the wrong type or is outside its limits"),
    "version": ErrorCode(meaning="the major versions differ"),
    "hello_first": ErrorCode(meaning="the server does not know this connection: send hello again", retryable=True),
    "unknown_session": ErrorCode(meaning="subscribe names a session that does not exist", retryable=True),
    "not_subscribed": ErrorCode(meaning="the connection has no subscription of the world: subscribe", retryable=True),
    "unknown_world": ErrorCode(meaning="no such world, or the client has not joined it"),
    "unknown_model": ErrorCode(meaning="the server has no such model"),
    "unknown_event": ErrorCode(meaning="the world's script has no such event"),
    "bad_script": ErrorCode(meaning="the script contradicts itself, e.g. an event sets a slot that does not exist"),
    "forbidden": ErrorCode(meaning="the client's role in this world does not allow it"),
    "wrong_mode": ErrorCode(meaning="the world's mode or state does not allow it"),
    "no_capability": ErrorCode(meaning="the model lacks a capability the request needs"),
    "too_many": ErrorCode(meaning="a limit on clients, worlds or subscriptions is reached", retryable=True),
    "too_fast": ErrorCode(meaning="more cues or messages per second than one client may send", retryable=True),
    "too_slow": ErrorCode(meaning="a subscriber fell too far behind the world and was unsubscribed", retryable=True),
    "no_room": ErrorCode(meaning="the world would not fit in the host's memory or time", retryable=True),
    "recording": ErrorCode(meaning="the take cannot be recorded"),
    "generator": ErrorCode(meaning="the generator failed or is being started again", retryable=True),
    "shutdown": ErrorCode(meaning="the server is closing"),
    "internal": ErrorCode(meaning="a fault in the server; its log has the details", retryable=True),
    # The rest arise on the client and never travel.
    "endpoint": ErrorCode(meaning="an endpoint is malformed or may not be bound"),
    "connection_failed": ErrorCode(meaning="no server answers", retryable=True),
    "connection_lost": ErrorCode(meaning="the server stopped answering", retryable=True),
    "timeout": ErrorCode(meaning="an answer did not come in time", retryable=True),
    "session_closed": ErrorCode(meaning="the session was closed on this side"),
    "world_closed": ErrorCode(meaning="the world has ended"),
}

LOCAL_CODES = frozenset(
    {"endpoint", "connection_failed", "connection_lost", "timeout", "session_closed", "world_closed"}
)
"""codes that arise on the client and never travel"""


class LongtakeError(Exception):
    """Base class. `str(error)` is the one-line message."""

    def __init__(self, code: str, message: str, *, retryable: bool | None = None, request: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        known = ERROR_CODES.get(code)
        self.retryable = retryable if retryable is not None else bool(known and known.retryable)
        self.request = request
        """number of the request, if it is known"""


class ProtocolError(LongtakeError):
    """Bytes are no message of this protocol, or a message's fields break its limits."""


class Refused(LongtakeError):
    """The server answered with an `error`; `code` is one of the codes that travel."""


class EndpointError(LongtakeError, ValueError):
    """An endpoint is malformed, or may not be bound."""

    def __init__(self, message: str) -> None:
        super().__init__("endpoint", message)


class VersionMismatch(LongtakeError):
    """The two sides speak different major versions of the protocol."""

    def __init__(self, message: str) -> None:
        super().__init__("version", message)


class ConnectionFailed(LongtakeError, ConnectionError):
    """No server answers."""

    def __init__(self, message: str) -> None:
        super().__init__("connection_failed", message)


class ConnectionLost(LongtakeError, ConnectionError):
    """The server stopped answering; a request under way may or may not have been carried out."""

    def __init__(self, message: str) -> None:
        super().__init__("connection_lost", message)


class RequestTimeout(LongtakeError, TimeoutError):
    """An answer, a picture or an event did not come in time."""

    def __init__(self, message: str) -> None:
        super().__init__("timeout", message)


class SessionClosed(LongtakeError):
    """The session was closed on this side."""

    def __init__(self, message: str = "this session is closed; connect again") -> None:
        super().__init__("session_closed", message)


class WorldClosed(LongtakeError):
    """The world has ended."""

    def __init__(self, message: str) -> None:
        super().__init__("world_closed", message)


def error_message(error: LongtakeError, request: int | None = None) -> Error:
    """Return the `error` message that answers with `error`; `request` overrides the number it carries."""
    number = error.request if request is None else request
    return Error(code=error.code, message=error.message, retryable=error.retryable, request=number)
