"""Binding: a server deletes nothing that is not its own, and never takes a live server's path."""

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import zmq
from raw_client import RawClient

from longtake.protocol import messages
from longtake.runtime.generator.hosts import GeneratorHostConfig
from longtake.runtime.server.binding import ServerError
from longtake.runtime.server.loop import Server, ServerConfig

Start = Callable[..., Any]


def bind_at(path: Path) -> Server:
    generator = GeneratorHostConfig(models=("fake",), factory="fakes:load")
    server = Server(ServerConfig(endpoint=f"ipc://{path}", generator=generator, in_process=True))
    server.bind()
    return server


def a_file(path: Path) -> None:
    path.write_bytes(b"precious")


def a_folder(path: Path) -> None:
    path.mkdir()


def a_link_to_nothing(path: Path) -> None:
    path.symlink_to(path.with_name("gone"))


def a_link_to_a_file(path: Path) -> None:
    path.with_name("precious").write_bytes(b"precious")
    path.symlink_to(path.with_name("precious"))


def a_pipe(path: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("make", [a_file, a_folder, a_link_to_nothing, a_link_to_a_file, a_pipe])
@pytest.mark.parametrize("suffix", ["", ".frames"])
def test_what_is_no_socket_stays(tmp_path: Path, make: Callable[[Path], None], suffix: str) -> None:
    path = tmp_path / "s"
    there = tmp_path / f"s{suffix}"
    make(there)
    before = os.lstat(there)
    with pytest.raises(ServerError, match="is no socket; move it away") as caught:
        bind_at(path)
    assert "\n" not in str(caught.value)
    after = os.lstat(there)
    assert (after.st_ino, after.st_mode, after.st_size) == (before.st_ino, before.st_mode, before.st_size)
    assert not (tmp_path / ("s.frames" if not suffix else "s")).exists()


def test_a_live_servers_path_is_in_use_and_it_lives_on(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "s"
    local = start(endpoint=f"ipc://{path}")
    with pytest.raises(ServerError, match="is in use: another server may be running there"):
        bind_at(path)
    with RawClient(local) as client:
        world = client.open(mode="lockstep").world
        client.subscribe(world, delivery="every", credit=8)
        assert client.control_world(world, "advance", ticks=4).tick == 4
        assert client.frame_message()[0].tick == 0


@pytest.mark.parametrize("suffix", ["", ".frames"])
@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_another_programs_socket_is_in_use(tmp_path: Path, suffix: str, kind: socket.SocketKind) -> None:
    there = tmp_path / f"s{suffix}"
    with socket.socket(socket.AF_UNIX, kind) as other:
        other.bind(str(there))
        if kind == socket.SOCK_STREAM:
            other.listen()
        with pytest.raises(ServerError, match="is in use"):
            bind_at(tmp_path / "s")
        assert there.is_socket()


def test_a_socket_left_by_a_killed_server_is_replaced(start: Start, tmp_path: Path) -> None:
    path = tmp_path / "s"
    for left in (path, tmp_path / "s.frames"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
            other.bind(str(left))
    with RawClient(start(endpoint=f"ipc://{path}")) as client:
        assert client.ask(messages.Worlds, messages.WorldList).worlds == []


def test_a_server_that_ends_leaves_no_socket_files(tmp_path: Path) -> None:
    with bound_at(tmp_path / "s"):
        assert sorted(one.name for one in tmp_path.glob("s*")) == ["s", "s.frames"]
    assert list(tmp_path.glob("s*")) == []


def test_a_server_that_ends_leaves_what_has_taken_the_place_of_its_files(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with bound_at(path):
        path.unlink()
        path.write_text("another one's")
    assert [one.read_text() for one in tmp_path.glob("s*")] == ["another one's"]


@contextmanager
def bound_at(path: Path) -> Iterator[None]:
    server = Server(ServerConfig(endpoint=f"ipc://{path}", takes=path.parent), context=zmq.Context.instance())
    server.bind()
    yield
    server.close()
