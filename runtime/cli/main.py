"""Finds the command, imports only its module, and turns every expected error into one line.

A command's module has `add_arguments(parser)` and `run(options) -> int`. Exit codes: 0 done, 1 a check failed (an
expectation, a replay, a conformance case), 2 the request cannot be carried out, 130 interrupted by Ctrl-C.
"""

import argparse
import importlib
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn

from longtake.model.errors import ModelError
from longtake.protocol.errors import LongtakeError
from longtake.protocol.version import __version__
from longtake.runtime.cli.usage import INTERRUPTED, UNUSABLE, unknown

log = logging.getLogger(__name__)

COMMANDS: dict[str, tuple[str, str]] = {
    "play": ("play", "open a window on a scenario and direct it; without a display, film it instead"),
    "serve": ("serve", "host worlds for players, scenarios and agents"),
    "join": ("join", "watch or direct a world that runs on a server"),
    "run": ("run", "run a scenario and check its expectations"),
    "render": ("render", "film a prompt or a scenario to an MP4"),
    "replay": ("replay", "generate a take again and compare it bit by bit"),
    "bench": ("bench", "measure the generator alone or a whole live session, plan for a device, show past figures"),
    "eval": ("evaluate", "count how often the picture shows what the prompt says"),
    "conformance": ("conformance", "compare the generator with recorded runs of the public reference"),
    "train": ("train", "train a part of the bundled model"),
    "doctor": ("doctor", "say what this machine has, what Longtake chooses here, and what to install"),
    "models": ("models", "list the models and where their weights are; `models pull` downloads public ones"),
}
"""name: (module in this folder, one line of help)"""
BROKEN_PIPE = 141
"""what a shell reports for a program whose output nobody reads any more"""


def run(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command and return the exit code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    named = next((word for word in given if not word.startswith("-")), None)
    if named is not None and named not in COMMANDS:
        print(f"longtake: {unknown('command', named, COMMANDS)}", file=sys.stderr)
        return UNUSABLE
    options = build_parser(named).parse_args(given)
    if options.command is None:
        build_parser(None).print_help()
        return UNUSABLE
    level = {0: logging.WARNING, 1: logging.INFO}.get(options.verbose, logging.DEBUG)
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    try:
        with ended_by_terminate():
            code: int = module_of(options.command).run(options)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        print(f"longtake {options.command}: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        # Nobody reads our output any more; without this the interpreter complains when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except (LongtakeError, ModelError, OSError) as error:
        log.debug("the command failed", exc_info=True)
        print(f"longtake {options.command}: {one_line(error)}", file=sys.stderr)
        return UNUSABLE


def module_of(command: str) -> Any:
    """Import and return the module of a command."""
    return importlib.import_module(f"longtake.runtime.cli.{COMMANDS[command][0]}")


class Parser(argparse.ArgumentParser):
    """Reports a mistake in one line, without the usage."""

    def error(self, message: str) -> NoReturn:
        """Print the line and exit."""
        self.exit(UNUSABLE, f"{self.prog}: {message}; see {self.prog} --help\n")


def build_parser(named: str | None) -> argparse.ArgumentParser:
    """Return the parser. Only the command `named` gets its arguments, because that imports its module."""
    parser = Parser(
        prog="longtake",
        description="A world simulation runtime: long video, generated live, steered while it runs.",
        epilog="`longtake COMMAND --help` explains a command. Exit codes: 0 done, 1 a check failed, 2 not possible.",
    )
    parser.add_argument("--version", action="version", version=f"longtake {__version__}")
    verbose = Parser(add_help=False)
    verbose.add_argument("-v", "--verbose", action="count", default=0, help="log more; give it twice to log everything")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    for name, (_, summary) in COMMANDS.items():
        command = commands.add_parser(
            name, help=summary, description=summary[0].upper() + summary[1:] + ".", parents=[verbose]
        )
        if name == named:
            module_of(name).add_arguments(command)
    return parser


def one_line(error: BaseException) -> str:
    """Return the error's message in one line; a file's error names the file."""
    if isinstance(error, OSError) and not isinstance(error, LongtakeError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    else:
        text = str(error) or type(error).__name__
    return " ".join(text.split())


@contextmanager
def ended_by_terminate() -> Iterator[None]:
    """Make SIGTERM unwind the command as Ctrl-C does, so that servers and generators stop in order."""

    def end(number: int, frame: object) -> None:
        # A second signal, which `timeout` sends at once, must not interrupt the cleanup.
        signal.signal(number, signal.SIG_IGN)
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread can handle signals
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
