"""What several commands share: arguments, where worlds are hosted, suggestions, tables, JSON. Imports no torch."""

import argparse
import difflib
import json
import math
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from longtake.protocol.errors import LongtakeError
from longtake.runtime import registry

if TYPE_CHECKING:
    from longtake.runtime.generator_hosts import GeneratorConfig
    from longtake.scenarios.schema import Scenario

OK, FAILED, UNUSABLE, INTERRUPTED = 0, 1, 2, 130
"""exit codes"""
DEFAULT_MODEL = "diorama"
MAX_SEED = 2**63 - 1
_TIME = re.compile(r"(?=.)(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?")


class UsageError(LongtakeError, ValueError):
    """What was asked for cannot be done; the message is one line and says what can."""

    def __init__(self, message: str) -> None:
        super().__init__("usage", message)


# --- arguments -----------------------------------------------------------------------------------------------


def seconds(text: str) -> float:
    """Parse `5`, `2.5s`, `3m` or `1m30s` into seconds; for argparse."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time; write 5s, 2.5s or 1m30s")
    minutes, rest = (float(part) if part else 0.0 for part in match.groups())
    return minutes * 60 + rest


def positive_seconds(text: str) -> float:
    """`seconds`, and more than none; for argparse."""
    value = seconds(text)
    if not 0 < value <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a length between 0 and 24 hours")
    return value


def seed(text: str) -> int:
    """Parse a world's seed; for argparse."""
    if not re.fullmatch(r"\d{1,19}", text) or int(text) > MAX_SEED:
        raise argparse.ArgumentTypeError(f"{text!r} is not a seed: a whole number from 0 to {MAX_SEED}")
    return int(text)


def count(text: str) -> int:
    """Parse a whole number of at least 1; for argparse."""
    if not re.fullmatch(r"\d{1,9}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def threads(text: str) -> int:
    """Parse a number of threads, 0 for the model's own choice; for argparse."""
    if not re.fullmatch(r"\d{1,4}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of threads (0: as the model likes it)")
    return int(text)


def add_model_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--model`."""
    parser.add_argument("--model", default=DEFAULT_MODEL, help=f"one of {', '.join(registry.MODELS)} (%(default)s)")
    # tests load a fake model with it; a user's own model can be tried the same way
    parser.add_argument("--factory", default="", help=argparse.SUPPRESS)


def add_device_arguments(parser: argparse.ArgumentParser) -> None:
    """Add `--device`, `--precision` and `--threads`."""
    parser.add_argument("--device", default="auto", help="auto, cpu or cuda (%(default)s)")
    parser.add_argument("--precision", default="auto", help="auto, bf16 or fp32 (%(default)s)")
    parser.add_argument("--threads", type=threads, default=0, help="of the CPU; 0 is the model's own choice")


def add_endpoint_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--endpoint`."""
    parser.add_argument("--endpoint", default="", help="use the server there instead of starting one for this command")


def add_record_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--record`."""
    parser.add_argument("--record", type=Path, metavar="X.take", help="record a take file, for `longtake replay`")


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="print one JSON object for programs instead")


def check_model(name: str, factory: str = "") -> None:
    """Raise `UsageError` for a model that is not in the registry."""
    if not factory and name not in registry.MODELS:
        raise UsageError(unknown("model", name, registry.MODELS))


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """One line for a name that does not exist, with the likeliest one meant."""
    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    hint = f"; did you mean {close[0]}?" if close else ""
    return f"no {kind} is called {name!r}; there are: {', '.join(names)}{hint}"


# --- where worlds are hosted -----------------------------------------------------------------------------------


def generator_config(options: argparse.Namespace, *, model: str | None = None) -> "GeneratorConfig":
    """What a generator is started with, from parsed arguments; `model` overrides the one given there.

    Raises `UsageError` where worlds cannot be hosted: an unknown model, no torch, or no weights.
    """
    name = model or options.model
    check_hosting(name, options.factory)
    from longtake.runtime.generator_hosts import GeneratorConfig

    return GeneratorConfig(
        models=(name,),
        factory=options.factory,
        device=options.device,
        precision=options.precision,
        threads=options.threads,
        log_level={0: "warning", 1: "info"}.get(options.verbose, "debug"),
    )


def check_hosting(model: str, factory: str = "") -> None:
    """Raise `UsageError` where a model cannot be loaded here: it is unknown, or torch or its weights are missing."""
    check_model(model, factory)
    if find_spec("torch") is None:
        raise UsageError(
            "hosting worlds needs torch: pip install 'longtake[host]', or use a server elsewhere (`longtake join`)"
        )
    if not factory:
        # found out here, because the generator could only say it from another process
        from longtake.runtime.cli.models import listings

        row = next(row for row in listings() if row.name == model)
        if not row.ready:
            raise UsageError(f"model {model} cannot be loaded: {row.note}")


@contextmanager
def hosted(options: argparse.Namespace, *, model: str, takes: Path | None = None) -> Iterator[str]:
    """Yield the endpoint of the server given with `--endpoint`, or of one of our own for as long as the block lasts.

    `takes` is the folder of the take files of our own server. Raises LongtakeError.
    """
    if options.endpoint:
        if takes is not None and takes != Path("."):
            raise UsageError("a server keeps its takes in a folder of its own: give --record a name without a folder")
        yield options.endpoint
        return
    config = generator_config(options, model=model)
    from longtake.runtime.local import local_server

    with local_server(
        model,
        factory=config.factory,
        device=config.device,
        precision=config.precision,
        threads=config.threads,
        log_level=config.log_level,
        takes=takes or Path("takes"),
    ) as local:
        yield local.endpoint


def take_name(path: Path | None) -> str | None:
    """The name a server is told to record under, for a `--record` path; None without one. Raises `UsageError`."""
    if path is None:
        return None
    if path.suffix != ".take":
        raise UsageError(f"{path} is no name for a take file: let it end in .take")
    return path.name


def load_scenario(path_or_name: str) -> "Scenario":
    """A scenario from a file or from the library; an unknown name gets a list and a suggestion. Raises LongtakeError."""
    from longtake.scenarios.loading import ScenarioNotFound, library_names, load

    try:
        return load(path_or_name)
    except ScenarioNotFound:
        if path_or_name.endswith((".yaml", ".yml")):
            raise
        raise UsageError(unknown("scenario", path_or_name, library_names())) from None


# --- what is printed -------------------------------------------------------------------------------------------


def print_json(value: Any) -> None:
    """Print one JSON object; what JSON cannot say (NaN, infinity) becomes null."""
    json.dump(_sayable(value), sys.stdout, indent=2, allow_nan=False)
    print()


def table(rows: Sequence[Sequence[str]], *, right: Iterable[int] = ()) -> str:
    """Lay rows out in columns; the first row is the heading, `right` are the columns set to the right."""
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
    """A progress bar on standard error, as a function `(done, total)`; nothing where that is no terminal."""
    from tqdm import tqdm

    # None: tqdm itself looks whether standard error is a terminal
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
