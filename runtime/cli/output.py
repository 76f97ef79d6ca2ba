"""Prints what commands have to say: tables for people, JSON for programs, progress bars."""

import json
import math
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any, TextIO

from longtake.runtime.cli.usage import UsageError

_for_json: TextIO | None = None
"""standard output within `only_json`"""


@contextmanager
def only_json() -> Iterator[None]:
    """Keep standard output for JSON; what else is printed, by a model's code for example, goes to standard error."""
    global _for_json
    _for_json = sys.stdout
    try:
        with redirect_stdout(sys.stderr):
            yield
    finally:
        _for_json = None


def print_json(value: Any) -> None:
    """Print one JSON object; NaN and infinity, which JSON does not have, become null."""
    print_for_programs(json_text(value))


def print_for_programs(text: str) -> None:
    """Print on standard output, within `only_json` too."""
    print(text, file=_for_json or sys.stdout, flush=True)


def json_text(value: Any) -> str:
    """Return one JSON object as `print_json` prints it."""
    return json.dumps(_sayable(value), indent=2, allow_nan=False)


def check_writable(path: Path) -> None:
    """Raise `UsageError` if a file cannot be written; called before a model is loaded for it."""
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file in it")
    folder = path.parent
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        raise UsageError(f"{path} cannot be written: {folder} is {'not writable' if folder.is_dir() else 'no folder'}")


def check_replaceable(path: Path) -> None:
    """Raise `UsageError` if a file exists that Longtake has not made."""
    from longtake.clients.film.signature import is_ours

    if os.path.lexists(path) and not is_ours(path):
        raise UsageError(f"{path} exists and is no film of ours; choose another --output, or --overwrite it")


def say_replaced(paths: Sequence[Path]) -> None:
    """Say on standard error which existing files a command will replace; nothing if there are none."""
    there = [str(path) for path in paths if os.path.lexists(path)]
    if there:
        print(f"{' and '.join(there)} will be replaced", file=sys.stderr)


def table(rows: Sequence[Sequence[str]], *, right: Iterable[int] = ()) -> str:
    """Lay rows out in columns. The first row is the heading; the columns in `right` are aligned right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    to_right = set(right)

    def line(row: Sequence[str]) -> str:
        cells = (
            cell.rjust(width) if column in to_right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        return "  ".join(cells).rstrip()

    return "\n".join([line(rows[0]), line(["-" * width for width in widths]), *(line(row) for row in rows[1:])])


@contextmanager
def progress(what: str, unit: str, total: int, *, quiet: bool = False) -> Iterator[Any]:
    """Show a progress bar on standard error, if that is a terminal; yields a function `(done, total)`."""
    from tqdm import tqdm

    # None lets tqdm find out whether standard error is a terminal.
    with tqdm(desc=what, unit=unit, total=total, disable=True if quiet else None, leave=False) as bar:

        def show(done: int, of: int) -> None:
            bar.total = of
            bar.update(done - bar.n)

        yield show


def _sayable(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {str(key): _sayable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_sayable(item) for item in value]
    return value
