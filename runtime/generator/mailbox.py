"""The generator's mailbox: the socket to the server, in a thread of its own."""

import logging
import queue
import threading
import time
from collections.abc import Callable
from typing import Any

import zmq

from longtake.protocol import sockets
from longtake.protocol.errors import ProtocolError
from longtake.protocol.generator_messages import GenEncode, GenPing, ToGenerator
from longtake.protocol.messages import Message
from longtake.protocol.wire import decode, encode

log = logging.getLogger(__name__)
PING_EVERY_S = 1.0


class Mailbox:
    """The socket to the server, in a thread of its own so that pings are answered while a step runs."""

    def __init__(self, context: sockets.Context, endpoint: str, check: Callable[[float], None]) -> None:
        """`check` is called about once a second with the seconds since the last message of the server."""
        self.commands: queue.SimpleQueue[tuple[Message, bytes]] = queue.SimpleQueue()
        self.on_hint: Callable[[GenEncode], None] | None = None
        """called at once, on the mailbox's thread, with prompts that will be needed"""
        self._context = context
        self._endpoint = endpoint
        self._check = check
        self._inside = f"inproc://longtake-mailbox-{id(self)}"
        self._outbox = sockets.pair(context)
        self._outbox.bind(self._inside)
        self._sending = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="generator-mailbox", daemon=True)
        self._thread.start()

    def send(self, message: Message, part: Any = None) -> None:
        """Send an answer with its binary part, from any thread; the part must not change afterwards."""
        parts = [encode(message)] if part is None else [encode(message), part]
        with self._sending:
            self._outbox.send_multipart(parts, copy=False)

    def close(self) -> None:
        """Send what is queued, then close."""
        self._outbox.send(b"")
        self._thread.join(timeout=5)
        self._outbox.close(0)

    def _run(self) -> None:
        socket = sockets.dealer(self._context, sockets.GENERATOR)
        inbox = sockets.pair(self._context)
        try:
            socket.connect(self._endpoint)
            inbox.connect(self._inside)
            self._serve(socket, inbox)
        except zmq.ContextTerminated:
            log.debug("the context was closed before the mailbox")
        finally:
            socket.close()
            inbox.close(0)

    def _serve(self, socket: sockets.Socket, inbox: sockets.Socket) -> None:
        poller = zmq.Poller()
        poller.register(socket, zmq.POLLIN)
        poller.register(inbox, zmq.POLLIN)
        heard = checked = time.monotonic()
        while True:
            ready = dict(poller.poll(int(PING_EVERY_S * 1000)))
            now = time.monotonic()
            if socket in ready:
                heard = now
                self._receive(socket)
            if inbox in ready:
                parts = inbox.recv_multipart(copy=False)
                if len(parts) == 1 and not len(parts[0]):
                    return
                socket.send_multipart(parts, copy=False)
            if now - checked >= PING_EVERY_S:
                checked = now
                self._check(now - heard)

    def _receive(self, socket: sockets.Socket) -> None:
        parts = socket.recv_multipart()
        try:
            message = decode(parts[0], ToGenerator)
        except ProtocolError as error:
            log.error("a command from the server is not understood: %s", error)
            return
        if isinstance(message, GenPing):
            if not message.reply:
                socket.send(encode(GenPing(sent=message.sent, reply=True)))
            return
        if isinstance(message, GenEncode):
            if self.on_hint is not None:
                self.on_hint(message)
            return
        self.commands.put((message, parts[1] if len(parts) > 1 else b""))
