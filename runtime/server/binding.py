"""Taking a server's two endpoints, without harm to files and servers that are there already.

ZeroMQ removes whatever lies at an `ipc://` path before it binds. So the path is examined first: only a socket on
which nobody listens any more may be replaced.
"""

import contextlib
import errno
import os
import socket
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import zmq

from longtake.protocol import sockets
from longtake.protocol.endpoints import Endpoint, parse_bind
from longtake.protocol.errors import LongtakeError

PROBE_S = 1.0
"""how long a socket has to answer before it counts as in use by a busy server"""


class ServerError(LongtakeError):
    """The server cannot run; `str()` says why and what to do."""

    def __init__(self, message: str) -> None:
        super().__init__("internal", message)


def bind(listener: sockets.Socket, endpoint: Endpoint, role: str = "") -> Endpoint:
    """Bind and return the endpoint with its real port. Raises `ServerError` in one line that begins with `role`."""
    address = f"tcp://{endpoint.address}:{endpoint.port or '*'}" if endpoint.scheme == "tcp" else str(endpoint)
    try:
        with _path_reserved(endpoint, role):
            listener.bind(address)
    except zmq.ZMQError as error:
        if error.errno == zmq.EADDRINUSE:
            raise _in_use(endpoint, role) from None
        raise ServerError(f"{role}{endpoint} cannot be bound: {os.strerror(error.errno or 0)}") from None
    if endpoint.scheme != "tcp":
        return endpoint
    return parse_bind(listener.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0"))


@dataclass(frozen=True, kw_only=True)
class SocketFile:
    """The file of a bound ipc endpoint. ZeroMQ leaves it behind; `remove` takes it away when the server ends."""

    path: Path
    device: int
    inode: int
    """which file it is: another server may have put its own in its place"""

    @classmethod
    def of(cls, endpoint: Endpoint) -> "SocketFile | None":
        """Return the file of an endpoint that was just bound; None for an endpoint without one."""
        if not _has_path(endpoint):
            return None
        path = Path(endpoint.address).absolute()
        found = os.lstat(path)
        return cls(path=path, device=found.st_dev, inode=found.st_ino)

    def remove(self) -> None:
        """Remove the file, if it is still the same one."""
        with contextlib.suppress(OSError):
            found = os.lstat(self.path)
            if (found.st_dev, found.st_ino) == (self.device, self.inode):
                self.path.unlink()


def require_free(endpoint: Endpoint, role: str = "") -> None:
    """Raise `ServerError` if an ipc path holds anything but a socket that is left over. Other schemes pass."""
    if not _has_path(endpoint):
        return
    path = Path(endpoint.address)
    try:
        found = os.lstat(path)
    except FileNotFoundError:
        return
    except OSError as error:
        raise ServerError(f"{role}{endpoint} cannot be bound: {error.strerror}") from None
    if not stat.S_ISSOCK(found.st_mode):
        raise ServerError(
            f"{role}{endpoint} cannot be bound: {path} is no socket; move it away, or choose another path"
        )
    failure = _connect(path)
    if failure == errno.ECONNREFUSED or failure == errno.ENOENT:
        return
    if failure in (errno.EACCES, errno.EPERM):
        raise ServerError(f"{role}{endpoint} cannot be bound: {path} belongs to another user; choose another path")
    raise _in_use(endpoint, role)


def _connect(path: Path) -> int:
    """Try a connection to a socket; return 0, or the error's number."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(PROBE_S)
        try:
            probe.connect(str(path))
        except TimeoutError:
            return errno.ETIMEDOUT
        except OSError as error:
            return error.errno or errno.EIO
    return 0


@contextlib.contextmanager
def _path_reserved(endpoint: Endpoint, role: str) -> Iterator[None]:
    """Examine an ipc path, and keep other servers from taking it until the block ends."""
    if not _has_path(endpoint):
        yield
        return
    import fcntl  # where there are ipc paths there is fcntl

    folder = Path(endpoint.address).parent
    try:
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise ServerError(f"{role}{endpoint} cannot be bound: {error.strerror}") from None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        require_free(endpoint, role)
        yield
    finally:
        os.close(handle)


def _has_path(endpoint: Endpoint) -> bool:
    return endpoint.scheme == "ipc" and not endpoint.address.startswith("@")  # "@name" is no file on Linux


def _in_use(endpoint: Endpoint, role: str) -> ServerError:
    other = "path" if endpoint.scheme == "ipc" else "port"
    return ServerError(
        f"{role}{endpoint} is in use: another server may be running there; stop it, or choose another {other}"
    )
