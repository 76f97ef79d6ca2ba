"""Arguments that several commands share, and the types of their values. Imports no torch."""

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


def prompt(text: str) -> str:
    """Check a prompt as the server will, before anything is started for it; for argparse."""
    if not text.isprintable() and any("\ud800" <= character <= "\udfff" for character in text):
        raise argparse.ArgumentTypeError("a prompt is UTF-8 text, and this one is not")
    if not 0 < len(tidy(text)) <= MAX_PROMPT_CHARACTERS:
        raise argparse.ArgumentTypeError(f"a prompt has 1 to {MAX_PROMPT_CHARACTERS} characters")
    return text


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


def add_weights_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what says which files a LongLive model is loaded from, and how."""
    group = parser.add_argument_group("LongLive", "how the models of LongLive's kind are loaded (docs/longlive.md)")
    group.add_argument("--weights", metavar="DIR", help="folder of the weights (that of `longtake models pull`)")
    group.add_argument(
        "--random-weights",
        nargs="?",
        const="full",
        choices=("full", "tiny"),
        help="no files: random weights at full size, or tiny; to try a machine out, the picture is noise",
    )
    group.add_argument("--decoder", choices=("auto", "wan", "tiny"), help="auto: tiny where its file is there")
    group.add_argument(
        "--text-encoder",
        choices=("auto", "gpu", "cpu", "offload", "random"),
        help="where UMT5-XXL runs; offload: on the GPU only while it encodes; random: not at all",
    )
    group.add_argument(
        "--linear",
        choices=("auto", "plain", "onednn", "upcast", "fp8", "te-fp8", "int8"),
        help="what computes the layers' linear maps; `longtake doctor` says which can be had",
    )
    group.add_argument("--compile", action="store_true", help="by torch's compiler; starting takes minutes longer")
    group.add_argument(
        "--option", action="append", default=[], metavar="NAME=VALUE", help="any other, such as positions=relative"
    )


WEIGHTS_ARGUMENTS = {
    "weights": "folder",
    "random_weights": "random_weights",
    "decoder": "decoder",
    "text_encoder": "text_encoder",
    "linear": "linear",
    "compile": "compile",
}
"""arguments of their own, and the names of the options they set"""


def weights_options(options: argparse.Namespace, model: str) -> dict[str, str]:
    """Return how a model is to be loaded, as texts by name. Raises `UsageError` and ConfigError for a wrong one."""
    texts = {name: str(value) for argument, name in WEIGHTS_ARGUMENTS.items() if (value := getattr(options, argument))}
    for text in options.option:
        try:
            name, value = registry.option(text)
        except ValueError as error:
            raise UsageError(f"--option: {error}") from None
        texts[name] = value
    if not texts:
        return texts
    # imports no torch, and knows every option
    from longtake.model.longlive.options import OF_EVERY_MODEL, LongLiveOptions

    if model == DEFAULT_MODEL and (others := sorted(set(texts) - set(OF_EVERY_MODEL))):
        given = ", ".join(others)
        raise UsageError(f"{model} comes with its weights; {given} only apply to --model longlive-1.3b and its kind")
    if "folder" in texts:
        # the generator is another process, and says less well what is wrong
        folder = Path(texts["folder"]).expanduser()
        if not folder.is_dir():
            raise UsageError(f"--weights {folder}: no such folder; `longtake models pull {model}` fetches the weights")
        texts["folder"] = str(folder.resolve())
    LongLiveOptions.parse(texts)
    return texts


def add_hosting_arguments(
    parser: argparse.ArgumentParser, *, model: str | None = DEFAULT_MODEL, endpoint: bool = False
) -> None:
    """Add everything that says where and how worlds are hosted: model, device and weights.

    `model` is the default, None where a scenario names it; `endpoint` is for commands that can use a running server.
    """
    if endpoint:
        add_endpoint_argument(parser)
    add_model_argument(parser)
    parser.set_defaults(model=model)
    add_device_arguments(parser)
    add_weights_arguments(parser)


def add_endpoint_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--endpoint`."""
    parser.add_argument("--endpoint", default="", help="use the server there instead of starting one for this command")


def add_record_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--record`."""
    parser.add_argument("--record", type=Path, metavar="X.take", help="record a take file, for `longtake replay`")


def add_json_argument(parser: argparse.ArgumentParser) -> None:
    """Add `--json`."""
    parser.add_argument("--json", action="store_true", help="print one JSON object for programs instead")
