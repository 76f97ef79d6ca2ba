"""The socket factory: every option is set, and nobody makes a socket elsewhere."""

import re
from pathlib import Path

import pytest
import zmq

from longtake.protocol import sockets
from longtake.protocol.wire import MAX_PICTURE_BYTES, MAX_SOCKET_BYTES

ROOT = Path(__file__).resolve().parents[2]


def test_options_reach_the_socket() -> None:
    with zmq.Context() as context:
        config = sockets.SocketConfig(linger_ms=7, max_message_bytes=99, send_queue=3, receive_queue=5)
        with sockets.dealer(context, config) as socket:
            assert socket.type == zmq.DEALER
            assert (socket.linger, socket.maxmsgsize, socket.sndhwm, socket.rcvhwm) == (7, 99, 3, 5)


def test_sending_to_a_peer_that_is_gone_is_an_error() -> None:
    with zmq.Context() as context, sockets.router(context, sockets.SERVER_CONTROL) as socket:
        assert socket.linger == 0
        with pytest.raises(zmq.ZMQError) as error:
            socket.send_multipart([b"nobody", b"hello"])
        assert error.value.errno == zmq.EHOSTUNREACH


def test_whatever_a_peer_can_send_is_limited() -> None:
    for config in (sockets.SERVER_CONTROL, sockets.SERVER_FRAMES, sockets.CLIENT_CONTROL):
        assert config.max_message_bytes == MAX_SOCKET_BYTES
    assert sockets.CLIENT_FRAMES.max_message_bytes == MAX_PICTURE_BYTES


def test_impossible_options_are_refused() -> None:
    for wrong in ({"linger_ms": -1}, {"send_queue": 0}, {"receive_queue": 0}, {"max_message_bytes": -2}):
        with pytest.raises(ValueError, match="impossible socket options"):
            sockets.SocketConfig(**wrong)


def test_nobody_else_makes_zeromq_sockets() -> None:
    elsewhere = [
        str(path.relative_to(ROOT))
        for folder in ("clients", "protocol", "runtime", "scenarios")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if re.search(r"\.socket\(\s*zmq\.|zmq\.Socket\(", path.read_text(encoding="utf-8"))
    ]
    assert elsewhere == []
