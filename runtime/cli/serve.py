"""`longtake serve`: host worlds for players, scenarios and agents, until Ctrl-C. It opens one to begin with."""

import argparse
import json
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from longtake.protocol.endpoints import DEFAULT_ENDPOINT, parse_bind
from longtake.protocol.errors import ConnectionLost, LongtakeError
from longtake.runtime.cli.arguments import add_hosting_arguments, add_json_argument, file_path
from longtake.runtime.cli.first_world import FirstWorld
from longtake.runtime.cli.hosting import generator_config
from longtake.runtime.cli.output import print_for_programs
from longtake.runtime.cli.scenario_argument import load_scenario
from longtake.runtime.cli.usage import OK, UsageError

if TYPE_CHECKING:
    from longtake.runtime.server.loop import Server


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument(
        "scenario",
        nargs="?",
        default="default",
        help="the world to open for those who join: a YAML file, or a name of the library (default: %(default)s)",
    )
    parser.add_argument("--empty", action="store_true", help="open no world; clients open their own")
    parser.add_argument(
        "--bind",
        default=DEFAULT_ENDPOINT,
        metavar="ENDPOINT",
        help="where to listen: tcp://127.0.0.1:PORT (frames use the next port) or ipc://PATH (default: %(default)s)",
    )
    parser.add_argument(
        "--takes", type=file_path, default=Path("takes"), help="folder for take files (default: %(default)s)"
    )
    add_hosting_arguments(parser, model=None)
    add_json_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Bind, start the generator, and serve."""
    if parse_bind(options.bind).scheme == "inproc":
        raise UsageError(f"{options.bind} reaches only this process; give tcp://127.0.0.1:PORT or ipc://PATH")
    scenario = load_scenario(options.scenario)
    model = options.model or scenario.model
    generator = generator_config(options, model=model)
    from longtake.runtime.server.loop import Server, ServerConfig

    server = Server(ServerConfig(endpoint=options.bind, generator=generator, takes=options.takes))
    server.bind()
    say(options, "loading", server.endpoint, f"listening on {server.endpoint}; loading {model} ...")
    ready, stop = threading.Event(), threading.Event()
    with FirstWorld(server.endpoint, scenario, model) as first:
        announcer = threading.Thread(
            target=announce, args=(options, server, first, ready, stop), name="announce", daemon=True
        )
        announcer.start()
        try:
            server.run(stop, ready)
        except KeyboardInterrupt:
            say(options, "stopped", server.endpoint, "stopped")
        finally:
            stop.set()
            ready.set()
            announcer.join(timeout=1)
    return OK


def announce(
    options: argparse.Namespace, server: "Server", first: FirstWorld, ready: threading.Event, stop: threading.Event
) -> None:
    """When the models are loaded, open the first world and say what there is."""
    ready.wait()
    if stop.is_set():
        return
    on = ", ".join(f"{model.name} on {model.device} in {model.precision}" for model in server.pool.models)
    world = ""
    if not options.empty:
        try:
            world = f"; {first.open()} plays {options.scenario}"
        except ConnectionLost:
            return  # the server has been told to end
        except LongtakeError as error:
            if not stop.is_set():
                print(f"longtake serve: the scenario cannot be opened: {error}", file=sys.stderr)
    if not stop.is_set():
        where = "" if options.bind == DEFAULT_ENDPOINT else f" {server.endpoint}"
        joins = f"`longtake join{where}` watches, with --role director it steers; Ctrl-C ends"
        say(options, "ready", server.endpoint, f"ready: {on}{world}; {joins}")


def say(options: argparse.Namespace, state: str, endpoint: str, text: str) -> None:
    """Print the state at once: whoever started this may be waiting for it."""
    print_for_programs(json.dumps({"state": state, "endpoint": endpoint}) if options.json else text)
