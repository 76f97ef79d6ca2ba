"""A private server that lives as long as a `with` block: for `longtake play`, scripts and tests.

with local_server("diorama") as local:
    with Session.connect(local.endpoint) as session:
        ...
"""

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import zmq

from longtake.protocol import sockets
from longtake.runtime.clock import Clock
from longtake.runtime.generator.hosts import GeneratorHost, GeneratorHostConfig
from longtake.runtime.server.binding import ServerError
from longtake.runtime.server.loop import Server, ServerConfig

log = logging.getLogger(__name__)
STOP_WITHIN_S = 10.0
_count = 0


@dataclass(frozen=True, kw_only=True)
class LocalServer:
    """A running server."""

    endpoint: str
    context: sockets.Context | None = None
    """for `InprocTransport`; None if the server is another process"""
    server: Server | None = None
    """the server itself, if it runs in this process"""
    pid: int = 0
    """process id of the server, if it is another process"""


@contextlib.contextmanager
def local_server(
    model: str = "diorama",
    *,
    in_process: bool = False,
    endpoint: str = "",
    factory: str = "",
    device: str = "auto",
    precision: str = "auto",
    threads: int = 0,
    options: Mapping[str, str] | None = None,
    takes: Path = Path("takes"),
    log_level: str = "warning",
) -> Iterator[LocalServer]:
    """Start a server and its generator, yield its address when both are ready, and stop both at the end.

    Normally the server is a process of its own (so that a busy client does not disturb its tick) and the
    generator another; with `in_process` both are threads of this one. Raises `ServerError` if it cannot start.
    """
    generator = GeneratorHostConfig(
        models=(model,),
        factory=factory,
        device=device,
        precision=precision,
        threads=threads,
        options=dict(options or {}),
        log_level=log_level,
    )
    config = ServerConfig(endpoint=endpoint or "tcp://127.0.0.1:0", generator=generator, takes=takes)
    if in_process:
        with server_thread(replace(config, in_process=True, endpoint=endpoint or _inproc_endpoint())) as local:
            yield local
    else:
        with _server_process(config) as local:
            yield local


@contextlib.contextmanager
def server_thread(
    config: ServerConfig, *, clock: Clock | None = None, hosts: Sequence[GeneratorHost] = (), wait_ready: bool = True
) -> Iterator[LocalServer]:
    """Run a server in a thread of this process. Its generators run as `config` says, or in `hosts`."""
    context: sockets.Context = zmq.Context()
    server = Server(config, clock=clock, context=context, hosts=hosts)
    server.bind()
    stop, ready = threading.Event(), threading.Event()
    failures: list[BaseException] = []

    def run() -> None:
        try:
            server.run(stop, ready)
        except BaseException as error:  # handed to the thread that waits
            log.error("the server failed: %s", error)
            failures.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=run, name="server", daemon=True)
    thread.start()
    try:
        if wait_ready:
            ready.wait()
        if failures:
            raise ServerError(str(failures[0])) from failures[0]
        yield LocalServer(endpoint=server.endpoint, context=context, server=server)
    finally:
        stop.set()
        thread.join(STOP_WITHIN_S)
        if thread.is_alive():
            log.error("the server's thread did not end within %g s", STOP_WITHIN_S)
        # Waits for clients that are still connected over inproc; their sockets raise an error.
        ending = threading.Thread(target=context.term, name="context-term", daemon=True)
        ending.start()
        ending.join(1.0)


@contextlib.contextmanager
def _server_process(config: ServerConfig) -> Iterator[LocalServer]:
    generator = config.generator
    command = [sys.executable, "-m", "longtake.runtime.server.process", "--endpoint", config.endpoint]
    command += ["--with-parent", str(os.getpid())]
    for name in generator.models:
        command += ["--model", name]
    command += ["--factory", generator.factory, "--device", generator.device, "--precision", generator.precision]
    command += ["--threads", str(generator.threads), "--takes", str(config.takes), "--log-level", generator.log_level]
    command += generator.option_arguments
    # a session of its own: Ctrl-C ends the client first, which then stops this server in order
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True)
    try:
        assert process.stdout is not None
        announced = json.loads(process.stdout.readline() or b'{"error": "the server ended without a word"}')
        if "error" in announced:
            raise ServerError(announced["error"])
        yield LocalServer(endpoint=announced["endpoint"], pid=process.pid)
    finally:
        process.terminate()
        try:
            process.wait(STOP_WITHIN_S)
        except subprocess.TimeoutExpired:
            log.error("the server did not stop within %g s and is killed", STOP_WITHIN_S)
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _inproc_endpoint() -> str:
    global _count
    _count += 1
    return f"inproc://longtake-{_count}"
