"""`longtake replay`: generate a recorded take again and compare it block by block. Exit code 1 if it differs."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from longtake.runtime.cli.arguments import (
    add_device_arguments,
    add_json_argument,
    add_weights_arguments,
    file_path,
    weights_options,
)
from longtake.runtime.cli.hosting import check_hosting
from longtake.runtime.cli.output import print_json, progress
from longtake.runtime.cli.usage import FAILED, OK, UsageError

if TYPE_CHECKING:
    from longtake.runtime.takes.file import TakeHeader
    from longtake.runtime.takes.replay import Replay, ReplayedBlock

SOURCES = ("folder", "random_weights")
"""options that say where the weights come from; giving one replaces both"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.add_argument("take", type=file_path, metavar="X.take", help="a take file")
    parser.add_argument("--factory", default="", help=argparse.SUPPRESS)
    add_device_arguments(parser, recorded=True)
    add_weights_arguments(parser)
    add_json_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Replay, and print where the first difference is."""
    replay = replay_of(options)
    take = replay.take
    same, first = 0, None
    with progress(options.take.name, "block", len(take.blocks), quiet=options.json) as show:
        for number, made in enumerate(replay.blocks(), start=1):
            same += made.same
            if not made.same and first is None:
                first = made
            show(number, len(take.blocks))
    report(options, take_blocks=len(take.blocks), same=same, first=first, differs=replay.differences(), torn=take.torn)
    return OK if first is None else FAILED


def replay_of(options: argparse.Namespace) -> "Replay":
    """Read the take file of the arguments and return its replay, ready to start. Raises LongtakeError."""
    from longtake.runtime.generator.hosts import GeneratorHostConfig
    from longtake.runtime.takes.file import read_take
    from longtake.runtime.takes.replay import Replay

    if not options.take.is_file():
        raise UsageError(f"{options.take}: no such take file; takes are recorded with --record, or in the player")
    take = read_take(options.take)
    if not take.blocks:
        raise UsageError(f"{options.take} holds no blocks; its recording ended before the first one was made")
    model = take.header.model
    check_hosting(model.name, options.factory)
    # Bits depend on device, precision, threads and options, so the recorded ones are the default.
    config = GeneratorHostConfig(
        models=(model.name,),
        factory=options.factory,
        device=recorded_unless_given(options.device, "auto", model.device) or "auto",
        precision=recorded_unless_given(options.precision, "auto", model.precision) or "auto",
        threads=options.threads or take.header.threads,
        options=model_options(options, take.header),
    )
    return Replay(take, config)


def recorded_unless_given(given: str, default: str, recorded: str) -> str:
    """Return what an argument says, or what the take was made with."""
    return recorded if given in ("", default) else given


def model_options(options: argparse.Namespace, header: "TakeHeader") -> dict[str, str]:
    """Return the model's recorded options, overridden by those given here. Raises `UsageError` and ConfigError."""
    given = weights_options(options, header.model.name)
    recorded = dict(header.options)
    if not given.keys().isdisjoint(SOURCES):
        recorded = {name: text for name, text in recorded.items() if name not in SOURCES}
    folder = recorded.get("folder", "")
    if folder and not Path(folder).is_dir():
        raise UsageError(f"the take was made with the weights in {folder}, which is not here; name them: --weights DIR")
    return recorded | given


def report(
    options: argparse.Namespace, *, take_blocks: int, same: int, first: "ReplayedBlock | None", differs: str, torn: bool
) -> None:
    """Print the result."""
    if options.json:
        difference = (
            None
            if first is None
            else {
                "generation": first.generation,
                "block": first.block,
                "tick": first.first_tick,
                "expected": first.expected,
                "digest": first.digest,
            }
        )
        print_json(
            {
                "take": str(options.take),
                "blocks": take_blocks,
                "same": same,
                "identical": first is None,
                "first_difference": difference,
                "model_differs": differs,
                "torn": torn,
            }
        )
        return
    if torn:
        print("the recording was cut off; everything up to its last whole record was compared")
    if differs:
        print(f"differs from the recording: {differs}")
    if first is None:
        print(f"{options.take}: all {take_blocks} blocks are the same, bit for bit")
        return
    print(
        f"{options.take}: {take_blocks - same} of {take_blocks} blocks differ, first block {first.block} "
        f"(tick {first.first_tick}, generation {first.generation})"
    )
    if not differs:
        print("model, options, device and precision are those of the recording")
