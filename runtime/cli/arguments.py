"""Arguments that several commands share, and the functions that parse their values. Imports no torch."""

import argparse
import os
import re
from collections.abc import Collection
from pathlib import Path

from longtake.model.interface import Argument, ModelSpec, model_names, model_spec, model_specs
from longtake.protocol.fields import MAX_PROMPT
from longtake.protocol.text import clean
from longtake.runtime.cli.usage import UsageError, unknown
from longtake.runtime.options import parse_option
from longtake.runtime.world.prompt_state import tidy

DEFAULT_MODEL = "diorama"
MAX_SEED = 2**53 - 1
MAX_SECONDS = 86_400
MAX_THREADS_PER_CORE, LEAST_MAX_THREADS = 4, 64
"""more threads than this only fail or stall; recordings of larger machines can still be replayed"""
_TIME = re.compile(r"(?=.)(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?")


def seconds(text: str) -> float:
    """Parse `5`, `2.5s`, `3m` or `1m30s` into seconds; for argparse."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time; write 5s, 2.5s or 1m30s")
    minutes, rest = (float(part) if part else 0.0 for part in match.groups())
    value = minutes * 60 + rest
    if value > MAX_SECONDS:
        raise argparse.ArgumentTypeError(f"{text[:40]!r} is more than 24 hours")
    return value


def positive_seconds(text: str) -> float:
    """Parse a length of more than 0 seconds and at most 24 hours; for argparse."""
    value = seconds(text)
    if not value:
        raise argparse.ArgumentTypeError(f"{text!r} is not a length between 0 and 24 hours")
    return value


def seed(text: str) -> int:
    """Parse a world's seed; for argparse."""
    if not re.fullmatch(r"\d{1,19}", text) or int(text) > MAX_SEED:
        raise argparse.ArgumentTypeError(f"{text!r} is not a seed: a whole number from 0 to {MAX_SEED}")
    return int(text)


def prompt(text: str) -> str:
    """Check and clean a prompt as the server will, but before anything is started; for argparse."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        raise argparse.ArgumentTypeError("the prompt is not valid UTF-8")
    cleaned = tidy(clean(text))
    if not 0 < len(cleaned) <= MAX_PROMPT:
        raise argparse.ArgumentTypeError(f"a prompt has 1 to {MAX_PROMPT} visible characters")
    return clean(text)


def count(text: str) -> int:
    """Parse a whole number of at least 1; for argparse."""
    if not re.fullmatch(r"\d{1,9}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def number(text: str) -> int:
    """Parse a whole number of at least 0; for argparse."""
    if not re.fullmatch(r"\d{1,9}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number")
    return int(text)


def threads(text: str) -> int:
    """Parse a number of threads; 0 leaves the choice to the model. For argparse."""
    if not re.fullmatch(r"\d{1,4}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of threads; 0 leaves the choice to the model")
    most = max(LEAST_MAX_THREADS, MAX_THREADS_PER_CORE * (os.cpu_count() or 1))
    if int(text) > most:
        raise argparse.ArgumentTypeError(f"{text} threads are too many here: at most {most}; 0 leaves it to the model")
    return int(text)


def some_of(kind: str, known: Collection[str], text: str) -> list[str]:
    """Parse names with commas between them, such as `looks,speed`; for argparse, with the first two given."""
    names = [name.strip() for name in text.split(",")]
    for name in names:
        if name not in known:
            raise argparse.ArgumentTypeError(unknown(kind, name, known))
    return names


def file_path(text: str) -> Path:
    """Parse a path; `~` is the home folder also in `--output=~/x`, which no shell expands. For argparse."""
    if "\0" in text or not text:
        raise argparse.ArgumentTypeError(f"{text!r} is not the name of a file")
    try:
        return Path(text).expanduser()
    except RuntimeError as error:  # no such user
        raise argparse.ArgumentTypeError(f"{text!r}: {error}") from None


def add_model_argument(parser: argparse.ArgumentParser, default: str | None = DEFAULT_MODEL) -> None:
    """Add `--model`; a default of None leaves the choice to the scenario."""
    shown = default or f"the scenario's, else {DEFAULT_MODEL}"
    parser.add_argument("--model", default=default, help=f"{', '.join(model_names())} (default: {shown})")
    # Tests load a fake model this way. It also works for a model that is not in the registry yet.
    parser.add_argument("--factory", default="", help=argparse.SUPPRESS)


def add_device_arguments(parser: argparse.ArgumentParser, *, recorded: bool = False) -> None:
    """Add `--device`, `--precision` and `--threads`. With `recorded`, what is not given stays empty or None."""
    shown = "as recorded" if recorded else "auto"
    parser.add_argument("--device", default="" if recorded else "auto", help=f"auto, cpu or cuda (default: {shown})")
    parser.add_argument(
        "--precision", default="" if recorded else "auto", help=f"auto, bf16 or fp32 (default: {shown})"
    )
    parser.add_argument(
        "--threads",
        type=threads,
        default=None if recorded else 0,
        help=f"CPU threads; 0 leaves the choice to the model (default: {'as recorded' if recorded else '0'})",
    )


def model_arguments() -> dict[str, Argument]:
    """Return the arguments that set options of a model, by flag."""
    return {argument.flag: argument for spec in model_specs() for argument in spec.arguments}


def add_weights_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say which files a model loads, and how."""
    groups: dict[str, argparse._ArgumentGroup] = {}
    for argument in model_arguments().values():
        if argument.group not in groups:
            groups[argument.group] = parser.add_argument_group(argument.group)
        add_model_option(groups[argument.group], argument)
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other option of the model, such as positions=relative",
    )


def add_model_option(group: argparse._ArgumentGroup, argument: Argument) -> None:
    """Add one argument of a model."""
    if argument.switch:
        group.add_argument(argument.flag, action="store_true", help=argument.help)
        return
    group.add_argument(
        argument.flag,
        nargs="?" if argument.const is not None else None,
        const=argument.const,
        choices=argument.choices or None,
        metavar=argument.metavar,
        help=argument.help,
    )


def given_options(options: argparse.Namespace) -> dict[str, str]:
    """Return the options of a model that were given, as texts by name. Raises `UsageError`."""
    texts = {
        argument.option: str(value)
        for argument in model_arguments().values()
        if (value := getattr(options, argument.dest))
    }
    for text in options.option:
        try:
            name, value = parse_option(text)
        except ValueError as error:
            raise UsageError(f"--option: {error}") from None
        texts[name] = value
    return texts


def weights_options(options: argparse.Namespace, model: str) -> dict[str, str]:
    """Return how a model is to be loaded, as texts by name. Raises `UsageError` and ConfigError for a wrong one."""
    texts = given_options(options)
    if not texts or options.factory:
        # A model loaded by a factory checks its options itself.
        return texts
    if model not in model_names():
        raise UsageError(unknown("model", model, model_names()))
    return checked_options(model_spec(model), texts)


def checked_options(spec: ModelSpec, texts: dict[str, str]) -> dict[str, str]:
    """Return options with their folders resolved. Raises `UsageError` and ConfigError for a wrong one."""
    by_option = {argument.option: argument for argument in spec.arguments}
    others = [name for name in texts if name not in spec.options.names()]
    elsewhere = [f"--model {other.name}" for other in model_specs() if set(others) <= set(other.options.names())]
    if others and elsewhere:
        flags = {argument.option: argument.flag for argument in model_arguments().values()}
        given = ", ".join(flags.get(name, name) for name in others)
        raise UsageError(f"model {spec.name} does not take {given}; {' and '.join(elsewhere)} would")
    for name in texts:
        if name in by_option and by_option[name].folder:
            texts[name] = existing_folder(spec, by_option[name], texts[name])
    spec.options.parse(texts)
    return texts


def existing_folder(spec: ModelSpec, argument: Argument, text: str) -> str:
    """Return the whole path of a folder. Raises `UsageError` if it is not there."""
    # Checked here, because the generator is another process and its error would say less.
    folder = Path(text).expanduser()
    if not folder.is_dir():
        remedy = f"; `longtake models pull {spec.name}` fetches the weights" if spec.pull is not None else ""
        raise UsageError(f"{argument.flag} {folder}: no such folder{remedy}")
    return str(folder.resolve())


def add_hosting_arguments(
    parser: argparse.ArgumentParser, *, model: str | None = DEFAULT_MODEL, endpoint: bool = False
) -> None:
    """Add the arguments that say where and how worlds are hosted: model, device and weights.

    `model` is the default, or None if a scenario names it. `endpoint` is for commands that can use a running server.
    """
    if endpoint:
        add_endpoint_argument(parser)
    add_model_argument(parser, model)
    add_device_arguments(parser)
    add_weights_arguments(parser)


def add_endpoint_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--endpoint`."""
    parser.add_argument("--endpoint", default="", help="use the server that runs there instead of starting one")


def add_record_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--record`."""
    parser.add_argument(
        "--record", type=file_path, metavar="X.take", help="record a take file, which `longtake replay` repeats"
    )


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="print one JSON object, for programs")
