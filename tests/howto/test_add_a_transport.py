"""What `docs/howto/add-a-transport.md` says, done: a session over one plain TCP stream instead of ZeroMQ.

`StreamTransport` is the client's half. `Gateway` is the server's: it turns each stream into the two ZeroMQ
connections that a server expects, so the server itself does not change.
"""

import contextlib
import select
import socket
import struct
import threading
import time
from collections import deque
from collections.abc import Iterator
from pathlib import Path

import pytest
import zmq

from longtake.clients.session import Session, Transport
from longtake.protocol import sockets
from longtake.protocol.endpoints import frames_connect, parse_connect
from longtake.runtime import GeneratorHostConfig, LocalServer, ServerConfig, server_thread
from tests.reach import reach

CONTROL, FRAMES, CONNECT_FRAMES = range(3)


# --- both halves: records on a stream ----------------------------------------------------------------------------


def pack(channel: int, parts: list[bytes]) -> bytes:
    """A record: channel, number of parts, the length of each, the parts."""
    return struct.pack(f"<BB{len(parts)}I", channel, len(parts), *map(len, parts)) + b"".join(parts)


def unpack(buffer: bytearray) -> Iterator[tuple[int, list[bytes]]]:
    """Take the complete records out of `buffer`."""
    while len(buffer) >= 2:
        channel, count = buffer[0], buffer[1]
        start = 2 + 4 * count
        if len(buffer) < start:
            return
        lengths = struct.unpack_from(f"<{count}I", buffer, 2)
        if len(buffer) < start + sum(lengths):
            return
        parts = []
        for length in lengths:
            parts.append(bytes(buffer[start : start + length]))
            start += length
        del buffer[:start]
        yield channel, parts


# --- the client's half -------------------------------------------------------------------------------------------


class StreamTransport:
    """One TCP stream that carries both channels."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._stream: socket.socket | None = None
        self._buffer = bytearray()
        self._arrived: dict[int, deque[list[bytes]]] = {CONTROL: deque(), FRAMES: deque()}
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)

    @property
    def endpoint(self) -> str:
        return f"stream://127.0.0.1:{self._port}"

    def connect(self) -> None:
        self._drop()
        self._buffer.clear()
        for waiting in self._arrived.values():
            waiting.clear()
        try:
            self._stream = socket.create_connection(("127.0.0.1", self._port), timeout=1.0)
        except OSError:
            self._stream = None  # nobody listens yet: the session tries again

    def connect_frames(self, announced: str) -> None:
        self._put(CONNECT_FRAMES, announced.encode())

    def send(self, data: bytes) -> bool:
        return self._put(CONTROL, data)

    def send_frames(self, data: bytes) -> bool:
        return self._put(FRAMES, data)

    def receive(self) -> bytes | None:
        waiting = self._arrived[CONTROL]
        return waiting.popleft()[0] if waiting else None

    def receive_frames(self) -> list[memoryview] | None:
        waiting = self._arrived[FRAMES]
        return [memoryview(part) for part in waiting.popleft()] if waiting else None

    def wait(self, timeout_s: float) -> None:
        if any(self._arrived.values()):
            return
        watched = [self._wake_out, *([self._stream] if self._stream else [])]
        ready, _, _ = select.select(watched, [], [], max(0.0, timeout_s))
        if self._wake_out in ready:
            self._wake_out.recv(4096)
        if self._stream in ready:
            self._read(self._stream)

    def wake(self) -> None:
        try:
            self._wake_in.send(b"w")
        except OSError:
            return  # full of wake-ups already, or closed

    def close(self) -> None:
        self._drop()
        self._wake_in.close()
        self._wake_out.close()

    def _put(self, channel: int, data: bytes) -> bool:
        try:
            if self._stream is not None:
                self._stream.sendall(pack(channel, [data]))
        except OSError:
            return False
        return self._stream is not None

    def _read(self, stream: socket.socket) -> None:
        try:
            data = stream.recv(1 << 20)
        except OSError:
            data = b""
        if not data:
            self._drop()  # the session notices the silence, and connects again
            return
        self._buffer += data
        for channel, parts in unpack(self._buffer):
            self._arrived[channel].append(parts)

    def _drop(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


# --- the server's half -------------------------------------------------------------------------------------------


class Gateway:
    """Accepts streams, and connects each to the server as a client of its own. One thread each."""

    def __init__(self, server: LocalServer) -> None:
        assert server.context is not None
        self._control = parse_connect(server.endpoint)
        self._context = server.context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.streams: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.hang_up()
        for thread in self._threads:
            thread.join(5)

    def hang_up(self) -> None:
        """Break every stream, as a bad line does."""
        for stream in self.streams:
            try:
                stream.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # it has ended already

    def _accept(self) -> None:
        while True:
            try:
                stream, _ = self._listener.accept()
            except OSError:
                return  # closed
            self.streams.append(stream)
            self._threads.append(threading.Thread(target=self._serve, args=(stream,), daemon=True))
            self._threads[-1].start()

    def _serve(self, stream: socket.socket) -> None:
        with (
            contextlib.suppress(ConnectionError),  # the client hangs up while something is sent to it
            stream,
            sockets.dealer(self._context, sockets.CLIENT_CONTROL) as control,
            sockets.dealer(self._context, sockets.CLIENT_FRAMES) as frames,
        ):
            control.connect(str(self._control))
            channels = {CONTROL: control, FRAMES: frames}
            poller = zmq.Poller()
            for watched in (stream.fileno(), control, frames):
                poller.register(watched, zmq.POLLIN)
            buffer = bytearray()
            while True:
                ready = dict(poller.poll(1000))
                for channel, opened in channels.items():
                    if opened in ready:
                        stream.sendall(pack(channel, opened.recv_multipart()))
                if stream.fileno() in ready:
                    data = stream.recv(1 << 16)
                    if not data:
                        return
                    buffer += data
                    for channel, parts in unpack(buffer):
                        if channel == CONNECT_FRAMES:
                            frames.connect(str(frames_connect(self._control, parts[0].decode())))
                        else:
                            channels[channel].send(parts[0])


# --- the proof ---------------------------------------------------------------------------------------------------


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    config = ServerConfig(
        endpoint=f"inproc://transport-{tmp_path.name}",
        in_process=True,
        heartbeat_s=0.3,
        takes=tmp_path,
        generator=GeneratorHostConfig(models=("fake",), factory="tests.runtime.fakes:load"),
    )
    with server_thread(config) as local:
        yield local


@pytest.fixture
def gateway(server: LocalServer) -> Iterator[Gateway]:
    opened = Gateway(server)
    yield opened
    opened.close()


def take(way: str | Transport) -> list[bytes]:
    with Session.connect(way) as session:
        world = session.open("fake", seed=7, prompt="a red balloon", mode="lockstep", delivery="every", buffer_frames=8)
        pictures = world.advance(20)
        ack = world.prompt("a fox")
        pictures += world.advance(20)
        assert [picture.header.tick for picture in pictures] == list(range(40))
        assert pictures[-1].header.cue == ack.cue
        return [picture.pixels.tobytes() for picture in pictures]


def test_a_session_over_the_new_transport_is_like_any_other(server: LocalServer, gateway: Gateway) -> None:
    assert take(StreamTransport(gateway.port)) == take(reach(server))


def test_a_line_that_breaks_is_mended_and_the_world_joined_again(gateway: Gateway) -> None:
    with Session.connect(StreamTransport(gateway.port)) as session:
        world = session.open("fake", prompt="x", mode="lockstep", delivery="every")
        assert len(world.advance(8)) == 8
        before = world.subscribed
        gateway.hang_up()
        until = time.monotonic() + 20
        while world.subscribed is before or world.subscribed is None or not world.subscribed.done():
            assert time.monotonic() < until
            time.sleep(0.02)
        assert session.reconnects == 1
        assert [picture.header.tick for picture in world.advance(8)] == list(range(8, 16))


def test_closing_does_not_wait_for_the_next_heartbeat(gateway: Gateway) -> None:
    session = Session.connect(StreamTransport(gateway.port))
    begun = time.monotonic()
    session.close()
    assert time.monotonic() - begun < 0.25
