"""Finds the command, imports only its module, and turns every expected error into one line.

A command's module has `add_arguments(parser)` and `run(options) -> int`. Exit codes: 0 done, 1 a check failed (an
expectation, a replay, a conformance case), 2 the request cannot be carried out, 130 interrupted by Ctrl-C.
"""

import argparse
import importlib
import io
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from longtake.model.command_line import Parser
from longtake.model.errors import ModelError
from longtake.model.interface import model_names, model_spec, model_specs
from longtake.protocol.errors import LongtakeError
from longtake.protocol.version import __version__
from longtake.runtime.cli.arguments import DEFAULT_MODEL
from longtake.runtime.cli.output import only_json
from longtake.runtime.cli.usage import INTERRUPTED, UNUSABLE, unknown

log = logging.getLogger(__name__)

COMMANDS: dict[str, tuple[str, str]] = {
    "play": ("play", "open a window on a scenario and direct it; without a display, film it instead"),
    "serve": ("serve", "host worlds for players, scenarios and agents"),
    "join": ("join", "watch or direct a world that runs on a server"),
    "scenarios": ("scenarios", "list the scenarios of the library, or show the file of one"),
    "run": ("run", "run a scenario and check its expectations"),
    "render": ("render", "film a prompt or a scenario to an MP4"),
    "replay": ("replay", "generate a take again and compare it bit by bit"),
    "bench": ("bench", "measure the generator alone or a whole live session, plan for a device, show past figures"),
    "eval": ("evaluate", "measure what a model shows, how it moves, and how it obeys"),
    "conformance": ("conformance", "compare the generator with recorded runs of the public reference"),
    "train": ("train", "train a part of the bundled model"),
    "doctor": ("doctor", "say what this machine has, what Longtake chooses here, and what to install"),
    "models": ("models", "list the models and where their weights are; `models pull` downloads public ones"),
}
"""name: (module in this folder, one line of help)"""
STANDARD_ERROR = 2
"""its number among open files"""
BROKEN_PIPE = 141
"""what a shell reports for a program whose output nobody reads any more"""


def run(arguments: Sequence[str] | None = None) -> int:
    """Carry out one command and return the exit code."""
    open_closed_streams()
    print_what_the_terminal_lacks_as_escapes()
    given = list(sys.argv[1:] if arguments is None else arguments)
    named = next((word for word in given if not word.startswith("-")), None)
    if named is not None and named not in COMMANDS:
        print(f"longtake: {unknown('command', named, COMMANDS)}", file=sys.stderr)
        return UNUSABLE
    options = build_parser(named, model_of(given)).parse_args(given)
    if options.command is None:
        build_parser(None).print_help()
        return UNUSABLE
    level = {0: logging.WARNING, 1: logging.INFO}.get(options.verbose, logging.DEBUG)
    logging.basicConfig(level=level, format="%(levelname)s %(name)s: %(message)s")
    try:
        with ended_by_terminate(), only_json() if getattr(options, "json", False) else nullcontext():
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
    except Exception as error:  # not exit code 1, which means that a check failed
        log.info("the command failed", exc_info=True)
        said = (
            f"a fault in longtake ({type(error).__name__}: {one_line(error)}); please report it with the output of -v"
        )
        print(f"longtake {options.command}: {said}", file=sys.stderr)
        return UNUSABLE


def open_closed_streams() -> None:
    """Where standard output or standard error was closed, as by `>&-`, write to nowhere.

    Otherwise the next file that is opened, such as a film, would get its number and what is printed.
    """
    if sys.stdout is None or sys.stderr is None:
        while (number := os.open(os.devnull, os.O_RDWR)) <= STANDARD_ERROR:
            os.set_inheritable(number, True)
        os.close(number)
        nowhere = Path(os.devnull)
        sys.stdout = sys.stdout or nowhere.open("w", encoding="utf-8")
        sys.stderr = sys.stderr or nowhere.open("w", encoding="utf-8")


def print_what_the_terminal_lacks_as_escapes() -> None:
    """Print a character that the terminal's encoding lacks as an escape: it must not cost the whole output."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def module_of(command: str) -> Any:
    """Import and return the module of a command."""
    return importlib.import_module(f"longtake.runtime.cli.{COMMANDS[command][0]}")


def model_of(given: Sequence[str]) -> str:
    """Return the model that a command line names, or the default one; for `--help`."""
    for place, word in enumerate(given):
        if word == "--model" and place + 1 < len(given):
            return given[place + 1]
        if word.startswith("--model="):
            return word.removeprefix("--model=")
    return DEFAULT_MODEL


def build_parser(named: str | None, model: str = DEFAULT_MODEL) -> argparse.ArgumentParser:
    """Return the parser. Only the command `named` gets its arguments, because that imports its module.

    Its `--help` lists the options of `model`, and not those that only other models take.
    """
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
            hide_other_models(command, model)
    return parser


def hide_other_models(command: argparse.ArgumentParser, model: str) -> None:
    """Leave out of `--help` what only other models take, and say how to see it."""
    if model not in model_names():
        return
    own = {argument.flag for argument in model_spec(model).arguments}
    others = {argument.flag for spec in model_specs() for argument in spec.arguments} - own
    hidden = [action for action in command._actions if not others.isdisjoint(action.option_strings)]
    for action in hidden:
        action.help = argparse.SUPPRESS
    if hidden:
        more = [spec.name for spec in model_specs() if {argument.flag for argument in spec.arguments} - own]
        command.epilog = f"`{command.prog} --model {more[0]} --help` lists the options of that model as well."


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
