"""Endpoints: where a server listens and a client connects.

They are `tcp://HOST:PORT`, `ipc://PATH` or `inproc://NAME`. A server listens on two: control and frames. Traffic is not
encrypted, so a server binds loopback only; clients elsewhere come through an SSH tunnel.
"""

import ipaddress
import re
from dataclasses import dataclass

from longtake.protocol.errors import EndpointError
from longtake.protocol.text import is_utf8

DEFAULT_PORT = 5570
DEFAULT_ENDPOINT = f"tcp://127.0.0.1:{DEFAULT_PORT}"
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,252}[A-Za-z0-9])?")
_INPROC = re.compile(r"[A-Za-z0-9._-]{1,100}")
MAX_IPC_PATH = 100
"""bytes; the limit of the operating systems is a little higher"""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A parsed endpoint. `address` is the host, the path or the name; `port` is 0 except for tcp."""

    scheme: str
    address: str
    port: int = 0

    def __str__(self) -> str:
        return f"tcp://{self.address}:{self.port}" if self.scheme == "tcp" else f"{self.scheme}://{self.address}"

    @property
    def is_local(self) -> bool:
        """True if only this machine can reach it."""
        return self.scheme != "tcp" or _is_loopback(self.address)


def parse(text: str) -> Endpoint:
    """Return the endpoint written in `text`, with `localhost` as 127.0.0.1. Raises `EndpointError`."""
    scheme, separator, rest = text.partition("://")
    if separator and scheme == "tcp":
        host, _, port = rest.rpartition(":")
        if not re.fullmatch(r"[0-9]{1,5}", port) or int(port) > 65535:
            raise EndpointError(f"{text!r} needs a port between 0 and 65535, as in {DEFAULT_ENDPOINT}")
        if not _HOST.fullmatch(host):
            raise EndpointError(f"{text!r} needs a host name or an IPv4 address, as in {DEFAULT_ENDPOINT}")
        return Endpoint(scheme=scheme, address="127.0.0.1" if host == "localhost" else host, port=int(port))
    if separator and scheme == "ipc":
        # A name that is no UTF-8 text has half characters in it, and ZeroMQ takes text only.
        if not rest or "\0" in rest or not is_utf8(rest) or len(rest.encode()) > MAX_IPC_PATH:
            raise EndpointError(f"{text[:120]!r} needs a path of 1 to {MAX_IPC_PATH} bytes of UTF-8 text")
        if rest == "*":  # ZeroMQ would choose a path that no client can know
            raise EndpointError(f"{text!r} names no path; write it out, as in ipc:///tmp/longtake")
        return Endpoint(scheme=scheme, address=rest)
    if separator and scheme == "inproc":
        if not _INPROC.fullmatch(rest):
            raise EndpointError(f"{text[:120]!r} needs a name of letters, digits, dot, dash and underscore")
        return Endpoint(scheme=scheme, address=rest)
    raise EndpointError(f"{text[:120]!r} is no endpoint; write tcp://HOST:PORT, ipc://PATH or inproc://NAME")


def parse_bind(text: str) -> Endpoint:
    """Parse an endpoint to listen on: loopback only. Port 0 lets the system choose."""
    endpoint = parse(text)
    if not endpoint.is_local:
        raise EndpointError(
            f"{text} is not a loopback address and Longtake's traffic is not encrypted: serve on 127.0.0.1 and "
            f"reach it by `ssh -L {DEFAULT_PORT}:127.0.0.1:{DEFAULT_PORT} "
            f"-L {DEFAULT_PORT + 1}:127.0.0.1:{DEFAULT_PORT + 1} HOST`"
        )
    return endpoint


def parse_connect(text: str) -> Endpoint:
    """Parse an endpoint to connect to: any host, but a real port."""
    endpoint = parse(text)
    if endpoint.scheme == "tcp" and endpoint.port == 0:
        raise EndpointError(f"{text!r} needs a port to connect to, as in {DEFAULT_ENDPOINT}")
    return endpoint


def frames_bind(control: Endpoint) -> Endpoint:
    """Return the frame endpoint of a control endpoint: the next port (0 stays 0), or `.frames` appended."""
    if control.scheme == "tcp":
        if control.port == 65535:
            raise EndpointError("control port 65535 leaves no next port for frames; take a lower one")
        return Endpoint(scheme="tcp", address=control.address, port=control.port + 1 if control.port else 0)
    return parse(f"{control}.frames")


def frames_announcement(frames: Endpoint) -> str:
    """Return what `welcome.frames_endpoint` says. For tcp it is the port alone: the host may be the end of a tunnel."""
    return str(frames.port) if frames.scheme == "tcp" else str(frames)


def frames_connect(control: Endpoint, announced: str) -> Endpoint:
    """Return where a client connects its frame socket, from what `welcome.frames_endpoint` says."""
    if announced.isascii() and announced.isdigit():
        return parse_connect(f"tcp://{control.address}:{announced}")
    return parse_connect(announced)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
