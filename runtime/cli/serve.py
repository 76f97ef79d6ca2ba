"""`longtake serve`: host worlds for players, scenarios and agents, until Ctrl-C."""

import argparse
import json
import threading
from pathlib import Path

from longtake.protocol.endpoints import DEFAULT_ENDPOINT, parse_bind
from longtake.runtime.cli.arguments import add_hosting_arguments, add_json_argument
from longtake.runtime.cli.hosting import generator_config
from longtake.runtime.cli.usage import OK, UsageError


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "--bind",
        default=DEFAULT_ENDPOINT,
        metavar="ENDPOINT",
        help="where to listen: tcp://127.0.0.1:PORT (frames use the next port) or ipc://PATH (default: %(default)s)",
    )
    parser.add_argument(
        "--takes", type=Path, default=Path("takes"), help="folder for take files (default: %(default)s)"
    )
    add_hosting_arguments(parser)
    add_json_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Bind, start the generator, and serve."""
    if parse_bind(options.bind).scheme == "inproc":
        raise UsageError(f"{options.bind} reaches only this process; give tcp://127.0.0.1:PORT or ipc://PATH")
    generator = generator_config(options)
    from longtake.runtime.server.loop import Server, ServerConfig

    server = Server(ServerConfig(endpoint=options.bind, generator=generator, takes=options.takes))
    server.bind()
    say(options, "loading", server.endpoint, f"listening on {server.endpoint}; loading {options.model} ...")
    ready, stop = threading.Event(), threading.Event()

    def announce() -> None:
        ready.wait()
        if not stop.is_set():
            models = server.pool.models
            on = ", ".join(f"{model.name} on {model.device} in {model.precision}" for model in models)
            say(options, "ready", server.endpoint, f"ready: {on}; `longtake join` watches, Ctrl-C ends")

    announcer = threading.Thread(target=announce, name="announce", daemon=True)
    announcer.start()
    try:
        server.run(stop, ready)
    finally:
        stop.set()
        ready.set()
        announcer.join(timeout=1)
    return OK


def say(options: argparse.Namespace, state: str, endpoint: str, text: str) -> None:
    """Print the state at once: whoever started this may be waiting for it."""
    print(json.dumps({"state": state, "endpoint": endpoint}) if options.json else text, flush=True)
