"""A server as a process of its own, for `local_server`: `python -m longtake.runtime.server.process ...`.

Writes one JSON line when it is ready, `{"endpoint": ...}`, or when it cannot be, `{"error": ...}`. What else is
printed, by a model's code for example, goes to standard error. Ends on SIGINT, SIGTERM, and, with `--with-parent`, when
the process of that number, which started it, is gone.
"""

import argparse
import io
import json
import logging
import os
import signal
import sys
import threading
from pathlib import Path

from longtake.protocol.errors import LongtakeError
from longtake.runtime.generator.hosts import GeneratorHostConfig
from longtake.runtime.options import parse_option
from longtake.runtime.server.loop import Server, ServerConfig

STANDARD_OUTPUT, STANDARD_ERROR = 1, 2
"""their numbers among open files"""


def main(arguments: list[str] | None = None) -> int:
    """Parse, bind, serve."""
    options = parser().parse_args(arguments)
    announcements = take_standard_output()
    logging.basicConfig(level=options.log_level.upper(), format="server: %(levelname)s %(message)s")
    stop, ready = threading.Event(), threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    try:
        server = Server(config_of(options))
        server.bind()
        threading.Thread(target=_announce, args=(server, ready, announcements), daemon=True).start()
        if options.with_parent:
            threading.Thread(target=_watch_parent, args=(options.with_parent, stop), daemon=True).start()
        server.run(stop, ready)
    except (LongtakeError, ValueError) as error:
        announcements.write(line_of({"error": str(error)}))
        return 1
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of this process's arguments."""
    parser = argparse.ArgumentParser(prog="longtake.runtime.server.process", description="Used by local_server.")
    parser.add_argument("--endpoint", default="tcp://127.0.0.1:0")
    parser.add_argument("--model", action="append", required=True)
    parser.add_argument("--factory", default="")
    parser.add_argument("--device", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--option", action="append", type=parse_option, default=[], metavar="NAME=VALUE")
    parser.add_argument("--takes", type=Path, default=Path("takes"))
    parser.add_argument("--keep-s", type=float, default=60.0)
    parser.add_argument("--with-parent", type=int, default=0, metavar="PID")
    parser.add_argument("--log-level", default="warning")
    return parser


def config_of(options: argparse.Namespace) -> ServerConfig:
    """Return the server's configuration."""
    generator = GeneratorHostConfig(
        models=tuple(options.model),
        factory=options.factory,
        device=options.device,
        precision=options.precision,
        threads=options.threads,
        options=dict(options.option),
        log_level=options.log_level,
    )
    return ServerConfig(endpoint=options.endpoint, generator=generator, takes=options.takes, keep_s=options.keep_s)


def take_standard_output() -> io.RawIOBase:
    """Return what was the standard output, which is standard error's from now on, for child processes too."""
    kept = os.fdopen(os.dup(STANDARD_OUTPUT), "wb", buffering=0)
    os.dup2(STANDARD_ERROR, STANDARD_OUTPUT)
    return kept


def line_of(announcement: dict[str, str]) -> bytes:
    """Return a line of ASCII, whatever the encoding of this process's streams."""
    return json.dumps(announcement).encode() + b"\n"


def _announce(server: Server, ready: threading.Event, announcements: io.RawIOBase) -> None:
    ready.wait()
    announcements.write(line_of({"endpoint": server.endpoint}))


def _watch_parent(started_by: int, stop: threading.Event) -> None:
    """Set `stop` when the process that started this one is gone; it may have gone before this one looked."""
    # On Windows the interpreter of a virtual environment is started by another program.
    parent = os.getppid() if os.name == "nt" else started_by
    while os.getppid() == parent:
        if stop.wait(1.0):
            return
    stop.set()


if __name__ == "__main__":
    sys.exit(main())
