"""The command line that the recipes share."""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from longtake.model.training.pace import PaceConfig

L = TypeVar("L", bound=PaceConfig)


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


def add_loop_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what a run of spread networks is given besides."""
    parser.add_argument("--steps", type=count, help="train so many steps (default: the recipe's, or by --hours)")
    parser.add_argument("--ranks", type=count, help="processes on a CPU (default: 2)")
    parser.add_argument("--tensorboard", action="store_true", help="write TensorBoard's files too")


def loop_of(loop: L, options: argparse.Namespace) -> L:
    """Return a recipe's loop as the arguments change it."""
    given = {"steps": options.steps, "ranks": options.ranks}
    return replace(
        loop,
        device=options.device,
        seed=options.seed,
        hours=hours_of(options, 0.0),
        tensorboard=options.tensorboard,
        **{name: value for name, value in given.items() if value is not None},
    )


def hours_of(options: argparse.Namespace, default: float) -> float:
    """Return how long to train."""
    if options.minutes is not None:
        return float(options.minutes) / 60
    return default if options.hours is None else float(options.hours)


def count(text: str) -> int:
    """Read a whole number above zero."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)


def positive(text: str) -> float:
    """Read a number above zero."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return number
