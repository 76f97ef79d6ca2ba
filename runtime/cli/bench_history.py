"""`longtake bench history`: print the measurements kept in `benchmarks/history.jsonl`, one JSON object a line.

Nobody can repeat a measurement without its commit. So every line is checked, and the first incomplete one is an error.
"""

import argparse
import math
import re
from datetime import date
from pathlib import Path

import msgspec

from longtake.runtime.cli.arguments import add_json_argument, file_path
from longtake.runtime.cli.output import print_json, table
from longtake.runtime.cli.usage import OK, UsageError

HISTORY = Path("benchmarks/history.jsonl")
COMMIT = re.compile(r"[0-9a-f]{7,40}")
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


class Run(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the history."""

    date: str
    """day of the run, YYYY-MM-DD"""
    commit: str
    """what was measured: 7 to 40 hexadecimal digits"""
    machine: str
    """processor or GPU, cores or cards used, and the precision if the command leaves it open"""
    command: str
    """what anybody can run to measure it again"""
    figures: dict[str, float]
    """by name; the name ends in the unit, except for rates (`fps`), shares and counts"""
    note: str = ""
    """what a reader has to know before comparing"""


def add_history_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of `bench history`."""
    parser.add_argument(
        "file",
        nargs="?",
        type=file_path,
        default=HISTORY,
        help="a file with one JSON object a line (default: %(default)s)",
    )
    add_json_argument(parser)


def run_history(options: argparse.Namespace) -> int:
    """Print the history. Raises UsageError for a file or line that cannot be read."""
    runs = read_history(options.file)
    if options.json:
        print_json({"runs": msgspec.to_builtins(runs)})
    else:
        print("\n\n".join(sections(runs)))
    return OK


def read_history(path: Path) -> list[Run]:
    """Read and check every line. Raises UsageError with the number of the first line that is wrong."""
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"{path}: no such file; run this in a checkout of the repository, or name the file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}") from None
    # at "\n" only: other line ends may be part of a text
    lines = text.removesuffix("\n").split("\n")
    if lines == [""]:
        raise UsageError(f"{path} is empty")
    return [run_of(line, f"{path}, line {number}") for number, line in enumerate(lines, start=1)]


def run_of(line: str, where: str) -> Run:
    """Parse one line. Raises UsageError."""
    if not line.strip():
        raise UsageError(f"{where}: empty; remove it")
    try:
        run = msgspec.json.decode(line, type=Run)
    except msgspec.ValidationError as error:
        raise UsageError(f"{where}: {error}; a line has {', '.join(Run.__struct_fields__)}") from None
    except msgspec.DecodeError as error:
        raise UsageError(f"{where}: not a JSON object ({error})") from None
    if wrong := problem(run):
        raise UsageError(f"{where}: {wrong}")
    return run


def problem(run: Run) -> str | None:
    """What is wrong with a line whose types are right."""
    if not COMMIT.fullmatch(run.commit):
        return f"commit {run.commit!r} is not 7 to 40 hexadecimal digits; `git rev-parse --short HEAD` prints them"
    if not is_date(run.date):
        return f"date {run.date!r} is not a day such as 2026-11-26"
    for name in ("machine", "command"):
        if not getattr(run, name).strip():
            return f"{name} is empty"
    if not run.figures:
        return "figures are empty"
    for name, value in run.figures.items():
        if not name.strip() or not math.isfinite(value):
            return f"figure {name!r} is {value}, not a number with a name"
    return None


def is_date(text: str) -> bool:
    """Whether a text is a day of the calendar, as YYYY-MM-DD."""
    if not DATE.fullmatch(text):
        return False
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


def sections(runs: list[Run]) -> list[str]:
    """A table for each command, so that what can be compared stands together; lines keep their order."""
    found = []
    for command in dict.fromkeys(run.command for run in runs):
        same = [run for run in runs if run.command == command]
        names = list(dict.fromkeys(name for run in same for name in run.figures))
        rows = [["date", "commit", *names, "machine"]]
        rows += [[run.date, run.commit[:10], *(figure(run, name) for name in names), run.machine] for run in same]
        notes = [f"{run.commit[:10]}: {run.note}" for run in same if run.note]
        found.append("\n".join([command, table(rows, right=range(2, 2 + len(names))), *notes]))
    return found


def figure(run: Run, name: str) -> str:
    """A figure as it was written, without a needless `.0`; a dash if this run has none."""
    return f"{run.figures[name]:,.10g}" if name in run.figures else "-"
