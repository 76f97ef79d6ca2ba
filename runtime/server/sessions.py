"""The clients of a server, and the control socket they speak through."""

import logging
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field

import zmq

from longtake.protocol import sockets
from longtake.protocol.messages import Heartbeat, Message, Role
from longtake.protocol.wire import encode
from longtake.runtime.server.limits import Limits, TokenBucket

log = logging.getLogger(__name__)

SILENT_HEARTBEATS = 3.5
"""heartbeats without any message after which a client counts as gone"""


@dataclass(kw_only=True, eq=False)
class Client:
    """One connected client."""

    identity: bytes
    """of its control connection"""
    token: str
    """its `session`, known to this client alone; it proves whose frame socket that is"""
    name: str
    heard: float
    """when its last message arrived"""
    cues: TokenBucket
    messages: TokenBucket
    roles: dict[str, Role] = field(default_factory=dict)
    """by world it has joined"""
    minor: int = 0
    """minor version of the protocol that it speaks"""
    gone: bool = False
    """it left, fell silent or does not read; the server removes it soon"""


class Sessions:
    """All clients that said hello, and sending to them."""

    def __init__(self, socket: sockets.Socket, limits: Limits, heartbeat_s: float) -> None:
        self.heartbeat_s = heartbeat_s
        self._socket = socket
        self._limits = limits
        self._by_identity: dict[bytes, Client] = {}
        self._by_token: dict[str, Client] = {}
        self._beat_at = 0.0

    def __len__(self) -> int:
        return len(self._by_identity)

    def all(self) -> Iterable[Client]:
        """Return the clients, safe to change while iterating."""
        return list(self._by_token.values())

    def by_identity(self, identity: bytes) -> Client | None:
        """Return the client of a control connection. One that is gone is none any more."""
        client = self._by_identity.get(identity)
        return None if client is None or client.gone else client

    def by_token(self, token: str) -> Client | None:
        """Return the client that was given this `session`."""
        client = self._by_token.get(token)
        return None if client is None or client.gone else client

    @property
    def full(self) -> bool:
        """Whether no more clients are accepted."""
        return len(self._by_identity) >= self._limits.clients

    def add(self, identity: bytes, name: str, now: float) -> Client:
        """Add a client."""
        limits = self._limits
        client = Client(
            identity=identity,
            token=secrets.token_hex(16),
            name=name,
            heard=now,
            cues=TokenBucket(limits.cues_per_second, limits.cue_burst),
            messages=TokenBucket(limits.messages_per_second, limits.message_burst),
        )
        self._by_identity[identity] = self._by_token[client.token] = client
        return client

    def remove(self, client: Client) -> None:
        """Remove a client."""
        client.gone = True
        if self._by_identity.get(client.identity) is client:  # its connection may have said hello again
            del self._by_identity[client.identity]
        self._by_token.pop(client.token, None)

    def send(self, client: Client, message: Message) -> None:
        """Send a control message. A client that cannot take it counts as gone."""
        if client.gone:
            return
        failure = self._send(client.identity, encode(message))
        if failure == zmq.EHOSTUNREACH:
            log.info("client %s has gone", client.name or client.token[:6])
        elif failure:
            log.warning("client %s does not take its messages and is dropped", client.name or client.token[:6])
        if failure:
            client.gone = True

    def send_to(self, identity: bytes, message: Message) -> bool:
        """Send to a connection without a session; return whether that was possible."""
        return not self._send(identity, encode(message))

    def beat(self, now: float) -> None:
        """Send heartbeats when it is time, and mark the clients that fell silent."""
        if now < self._beat_at:
            return
        late_s = now - self._beat_at if self._beat_at else 0.0
        self._beat_at = now + self.heartbeat_s
        for client in self.all():
            self.send(client, Heartbeat(sent=now))
            if late_s > self.heartbeat_s:
                # The server was stopped, as with a suspended machine, and its clients may have been stopped with it.
                client.heard += late_s
            if now - client.heard > SILENT_HEARTBEATS * self.heartbeat_s:
                log.info("client %s fell silent", client.name or client.token[:6])
                client.gone = True

    @property
    def next_beat(self) -> float:
        """When `beat` is next due."""
        return self._beat_at

    def _send(self, identity: bytes, data: bytes) -> int:
        """Send to a connection; return 0, or the error's number."""
        try:
            self._socket.send_multipart([identity, data], zmq.NOBLOCK)
        except zmq.ZMQError as error:
            # EAGAIN: its queue is full. EHOSTUNREACH: it is gone. Both concern this client only.
            if error.errno not in (zmq.EAGAIN, zmq.EHOSTUNREACH):
                raise
            return int(error.errno)
        return 0
