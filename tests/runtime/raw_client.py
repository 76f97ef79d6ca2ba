"""A client of bare sockets: it can send anything, and does not do what a polite client does."""

import time
from typing import Any

import zmq

from longtake.protocol import messages, wire
from longtake.protocol.endpoints import frames_connect, parse_connect


class RawClient:
    """Two DEALER sockets; nothing happens unless a test asks for it."""

    def __init__(self, local: Any, *, hello: bool = True) -> None:
        self.context = zmq.Context.instance()
        self.endpoint = local.endpoint
        self.control = self._socket(local.endpoint)
        self.frames: Any = None
        self.seen: list[Any] = []
        self.requests = 0
        if hello:
            self.send(messages.Hello(client="raw"))
            self.welcome = self.wait(messages.Welcome)

    def _socket(self, endpoint: str) -> Any:
        socket = self.context.socket(zmq.DEALER)
        socket.linger = 0
        socket.connect(endpoint)
        return socket

    def __enter__(self) -> "RawClient":
        return self

    def __exit__(self, *_: object) -> None:
        self.vanish()

    def vanish(self) -> None:
        """Close without a word."""
        self.control.close()
        if self.frames is not None:
            self.frames.close()

    def send(self, message: Any) -> None:
        self.control.send(message if isinstance(message, bytes) else wire.encode(message))

    def wait(self, kind: type[Any], /, timeout_s: float = 60.0, **fields: Any) -> Any:
        """Return the next control message of one kind with those fields; the others are kept in `seen`."""
        until = time.monotonic() + timeout_s
        while (left := until - time.monotonic()) > 0:
            if not self.control.poll(max(1, int(left * 1000))):
                continue
            message = wire.decode(self.control.recv(), messages.FromServer)
            self.seen.append(message)
            if isinstance(message, messages.Heartbeat) and not message.reply:
                self.send(messages.Heartbeat(sent=message.sent, reply=True))
            if isinstance(message, kind) and all(getattr(message, name) == value for name, value in fields.items()):
                return message
        raise AssertionError(f"no {kind} {fields} within {timeout_s} s; seen: {self.seen[-5:]}")

    def ask(self, kind: type[Any], answer: type[Any], **fields: Any) -> Any:
        """Send a request and return its answer, which may be an `Error`."""
        self.requests += 1
        self.send(kind(request=self.requests, **fields))
        return self.wait((answer, messages.Error), request=self.requests)  # type: ignore[arg-type]

    def open(self, **fields: Any) -> Any:
        fields.setdefault("prompt", "a red balloon")
        return self.ask(messages.Open, messages.Joined, model="fake", **fields)

    def control_world(self, world: str, action: str, **fields: Any) -> Any:
        return self.ask(messages.Control, messages.Done, world=world, action=action, **fields)

    def connect_frames(self) -> None:
        """Make a new frame socket, and drop the one before."""
        if self.frames is not None:
            self.frames.close()
        announced = frames_connect(parse_connect(self.endpoint), self.welcome.frames_endpoint)
        self.frames = self._socket(str(announced))

    def subscribe(self, world: str, **fields: Any) -> Any:
        if self.frames is None:
            self.connect_frames()
        self.requests += 1
        self.frames.send(
            wire.encode(messages.Subscribe(request=self.requests, session=self.welcome.session, world=world, **fields))
        )
        answer = self.frame_message()
        assert isinstance(answer[0], messages.Subscribed | messages.Error)
        return answer[0]

    def credit(self, world: str, frames: int) -> None:
        self.frames.send(wire.encode(messages.Credit(world=world, frames=frames)))

    def frame_message(self, timeout_s: float = 60.0) -> list[Any]:
        """Return the next message on the frame socket but heartbeats, decoded, and its picture."""
        message = self._next_of_frames(timeout_s)
        assert message is not None, "nothing on the frame socket"
        return message

    def no_frame(self, seconds: float = 0.4) -> bool:
        return self._next_of_frames(seconds) is None

    def _next_of_frames(self, timeout_s: float) -> list[Any] | None:
        until = time.monotonic() + timeout_s
        while self.frames.poll(max(0, int((until - time.monotonic()) * 1000))):
            header, *rest = self.frames.recv_multipart()
            message = wire.decode(header, messages.FromServerFrames)
            if not isinstance(message, messages.Heartbeat):
                return [message, *rest]
        return None
