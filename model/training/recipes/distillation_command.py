"""The command line of the recipes that distil."""

import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import torch

from longtake.model.command_line import Parser
from longtake.model.training import command
from longtake.model.training.launch import launch_loop
from longtake.model.training.recipes.distillation import DistillationConfig, DistillationTask
from longtake.model.training.recipes.world_config import WorldConfig, add_world_arguments, world_of
from longtake.model.training.settings import changed
from longtake.model.training.sharded_run import ShardedConfig, ShardedRun


@dataclass(frozen=True, kw_only=True)
class DistillationRecipe:
    """A run: what is trained, and how."""

    task: DistillationConfig
    loop: ShardedConfig


MakeRecipe = Callable[[Path, WorldConfig], DistillationRecipe]
"""Returns a stage's settings for a world."""


def train(settings: DistillationRecipe) -> None:
    """Run a recipe; see `launch_loop` for the errors.

    What cannot be had (a missing prompt file, a teacher of another world) is said before any rank starts.
    """
    settings.task.world.world(settings.task.needed).check()
    make: Callable[[torch.device], DistillationTask] = partial(DistillationTask, settings.task, settings.loop)
    launch_loop(make, ShardedRun, settings.loop, settings.task.folder, asdict(settings.task))


def main(name: str, description: str, make: MakeRecipe) -> None:
    """Parse, build and run.

    Args:
        name: of the recipe.
        description: for its help.
        make: its settings.
    """
    parser = Parser(prog=f"longtake train {name}", description=description)
    command.add_run_arguments(parser)
    add_world_arguments(parser)
    command.add_loop_arguments(parser)
    options = parser.parse_args(sys.argv[1:])
    settings = make(options.out, world_of(options))
    if options.rehearsal:
        settings = rehearsed(settings)
    loop = command.loop_of(settings.loop, options)
    train(changed(replace(settings, loop=loop), options.set))


def rehearsed(settings: DistillationRecipe) -> DistillationRecipe:
    """Return the same recipe, as short as it can be: it shows that everything fits together."""
    task = settings.task
    lora = min(task.lora_rank, 4)
    task = replace(task, blocks=2, lora_rank=lora, generator_every=2, samples_every_s=0.0)
    if task.world.model == "diorama":
        task = replace(task, streaming=replace(task.streaming, window_frames=4, chunk_frames=3, longest_frames=10))
    else:
        task = replace(task, streaming=replace(task.streaming, window_frames=9, chunk_frames=6, longest_frames=21))
    return replace(settings, task=task, loop=replace(settings.loop, steps=4, members=2, log_every=1, ema_start=1))
