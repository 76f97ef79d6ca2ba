"""Arguments that several commands share, and the functions that parse their values. Imports no torch."""

import argparse
import re
from pathlib import Path

from longtake.runtime import registry
from longtake.runtime.cli.usage import UsageError
from longtake.runtime.world.prompt_state import MAX_PROMPT_CHARACTERS, tidy

DEFAULT_MODEL = "diorama"
MAX_SEED = 2**63 - 1
_TIME = re.compile(r"(?=.)(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s?)?")


def seconds(text: str) -> float:
    """Parse `5`, `2.5s`, `3m` or `1m30s` into seconds; for argparse."""
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not a time; write 5s, 2.5s or 1m30s")
    minutes, rest = (float(part) if part else 0.0 for part in match.groups())
    return minutes * 60 + rest


def positive_seconds(text: str) -> float:
    """Parse a length of more than 0 seconds and at most 24 hours; for argparse."""
    value = seconds(text)
    if not 0 < value <= 86_400:
        raise argparse.ArgumentTypeError(f"{text!r} is not a length between 0 and 24 hours")
    return value


def seed(text: str) -> int:
    """Parse a world's seed; for argparse."""
    if not re.fullmatch(r"\d{1,19}", text) or int(text) > MAX_SEED:
        raise argparse.ArgumentTypeError(f"{text!r} is not a seed: a whole number from 0 to {MAX_SEED}")
    return int(text)


def prompt(text: str) -> str:
    """Check a prompt as the server will, but before anything is started; for argparse."""
    if not text.isprintable() and any("\ud800" <= character <= "\udfff" for character in text):
        raise argparse.ArgumentTypeError("the prompt is not valid UTF-8")
    if not 0 < len(tidy(text)) <= MAX_PROMPT_CHARACTERS:
        raise argparse.ArgumentTypeError(f"a prompt has 1 to {MAX_PROMPT_CHARACTERS} characters")
    return text


def count(text: str) -> int:
    """Parse a whole number of at least 1; for argparse."""
    if not re.fullmatch(r"\d{1,9}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least 1")
    return int(text)


def threads(text: str) -> int:
    """Parse a number of threads; 0 leaves the choice to the model. For argparse."""
    if not re.fullmatch(r"\d{1,4}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of threads; 0 leaves the choice to the model")
    return int(text)


def add_model_argument(parser: argparse.ArgumentParser, default: str | None = DEFAULT_MODEL) -> None:
    """Add `--model`; a default of None leaves the choice to the scenario."""
    shown = default or f"the scenario's, else {DEFAULT_MODEL}"
    parser.add_argument("--model", default=default, help=f"{', '.join(registry.MODELS)} (default: {shown})")
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


def add_weights_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options that say which files a LongLive model loads, and how."""
    group = parser.add_argument_group(
        "LongLive", "how LongLive and its kind are loaded; docs/longlive.md explains each option"
    )
    group.add_argument(
        "--weights", metavar="DIR", help="folder of the weights (default: where `longtake models pull` puts them)"
    )
    group.add_argument(
        "--random-weights",
        nargs="?",
        const="full",
        choices=("full", "tiny"),
        help="load no files: random weights, full size or tiny. Tries a machine out; the picture is noise",
    )
    group.add_argument("--decoder", choices=("auto", "wan", "tiny"), help="auto picks tiny if its file is there")
    group.add_argument(
        "--text-encoder",
        choices=("auto", "gpu", "cpu", "offload", "random"),
        help="where UMT5-XXL runs; offload moves it to the GPU only to encode; random does not load it",
    )
    group.add_argument(
        "--linear",
        choices=("auto", "plain", "onednn", "upcast", "fp8", "te-fp8", "int8"),
        help="how linear layers are computed; `longtake doctor` says which of these work here",
    )
    group.add_argument("--compile", action="store_true", help="use torch's compiler; starting takes minutes longer")
    group.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other option, such as positions=relative",
    )


WEIGHTS_ARGUMENTS = {
    "weights": "folder",
    "random_weights": "random_weights",
    "decoder": "decoder",
    "text_encoder": "text_encoder",
    "linear": "linear",
    "compile": "compile",
}
"""command-line arguments, and the names of the options they set"""


def weights_options(options: argparse.Namespace, model: str) -> dict[str, str]:
    """Return the options that were given, as texts by name. Raises `UsageError` and ConfigError for a wrong one."""
    texts = {name: str(value) for argument, name in WEIGHTS_ARGUMENTS.items() if (value := getattr(options, argument))}
    for text in options.option:
        try:
            name, value = registry.option(text)
        except ValueError as error:
            raise UsageError(f"--option: {error}") from None
        texts[name] = value
    if not texts:
        return texts
    # Knows every option, and imports no torch.
    from longtake.model.longlive.options import OF_EVERY_MODEL, LongLiveOptions

    if model == DEFAULT_MODEL and (others := sorted(set(texts) - set(OF_EVERY_MODEL))):
        given = ", ".join(others)
        raise UsageError(f"{model} comes with its weights; {given} only apply to --model longlive-1.3b and its kind")
    if "folder" in texts:
        # Checked here, because the generator is another process and its error would say less.
        folder = Path(texts["folder"]).expanduser()
        if not folder.is_dir():
            raise UsageError(f"--weights {folder}: no such folder; `longtake models pull {model}` fetches the weights")
        texts["folder"] = str(folder.resolve())
    LongLiveOptions.parse(texts)
    return texts


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
        "--record", type=Path, metavar="X.take", help="record a take file, which `longtake replay` repeats"
    )


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="print one JSON object, for programs")
