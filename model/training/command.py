"""The command line that the recipes share."""

import argparse
import logging
from collections.abc import Callable
from pathlib import Path

from longtake.model.errors import ModelError
from longtake.model.training.launch import FAILED

log = logging.getLogger(__name__)


def add_run_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what every run is given: folder, device, time, seed, weights to start from, single settings."""
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; a run in it is resumed")
    parser.add_argument("--device", default="cpu", help="auto, cpu or cuda")
    time = parser.add_mutually_exclusive_group()
    time.add_argument("--hours", type=positive, help="how long to train")
    time.add_argument("--minutes", type=positive, help="the same in minutes")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="change one setting; repeat it"
    )


def hours_of(options: argparse.Namespace, default: float) -> float:
    """Return how long to train."""
    if options.minutes is not None:
        return float(options.minutes) / 60
    return default if options.hours is None else float(options.hours)


def positive(text: str) -> float:
    """Read a number above zero."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number


def run(main: Callable[[], None]) -> None:
    """Run a recipe's main; an error that is raised on purpose becomes one line and exit status 2."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        main()
    except ModelError as error:
        log.error("longtake train: %s", error)
        raise SystemExit(FAILED) from None
