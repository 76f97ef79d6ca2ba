"""`longtake train`: hands over to the module that trains a part of diorama (docs/training.md has the recipe)."""

import argparse
from importlib.util import find_spec

from longtake.runtime.cli.hosting import need_torch
from longtake.runtime.cli.usage import UNUSABLE, UsageError, unknown

PARTS = {
    "all": "recipes.stages",
    "clips": "data.clips",
    "autoencoder": "recipes.autoencoder",
    "text_encoder": "recipes.text_encoder",
    "probe": "recipes.probe",
    "transformer": "recipes.transformer",
    "motion": "recipes.motion",
    "texts": "data.texts",
    "trajectories": "recipes.trajectories",
    "ode-init": "recipes.ode_init",
    "self-forcing": "recipes.self_forcing",
    "streaming": "recipes.streaming",
    "export": "export",
}
"""Modules of `longtake.model.training`; after `all`, in the order of the recipe."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the command's arguments."""
    parser.usage = "longtake train PART [-- ARGUMENTS]"
    parser.add_argument("part", metavar="PART", help="all, or one of " + ", ".join(list(PARTS)[1:]))
    parser.add_argument(
        "arguments", nargs=argparse.REMAINDER, metavar="-- ARGUMENTS", help="of the part: longtake train PART -- --help"
    )


def run(options: argparse.Namespace) -> int:
    """Run the part's module as a process of its own: training forks and sets up torch as it likes."""
    if options.part not in PARTS:
        raise UsageError(unknown("part", options.part, PARTS))
    need_torch("training", "host,train")
    module = f"longtake.model.training.{PARTS[options.part]}"
    if find_spec(module) is None:
        raise UsageError(f"{module} is not installed; train from a checkout of the repository")
    arguments = options.arguments[1:] if options.arguments[:1] == ["--"] else options.arguments
    from longtake.model.training.child import run_module

    code = run_module([PARTS[options.part], *arguments], interrupts=False)
    return code if code >= 0 else UNUSABLE
