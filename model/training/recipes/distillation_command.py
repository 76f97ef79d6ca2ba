"""The command line of the recipes that distil."""

import argparse
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path

import torch

from longtake.model.training import command
from longtake.model.training.launch import launch_loop
from longtake.model.training.recipes.distillation import MODELS, DistillationConfig, DistillationTask, WorldConfig
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
    if not settings.task.world.rehearsal:
        settings.task.world.world()
    make: Callable[[torch.device], DistillationTask] = partial(DistillationTask, settings.task, settings.loop)
    launch_loop(make, ShardedRun, settings.loop, settings.task.folder, asdict(settings.task))


def main(name: str, description: str, make: MakeRecipe) -> None:
    """Parse, build and run.

    Args:
        name: of the recipe.
        description: for its help.
        make: its settings.
    """
    parser = argparse.ArgumentParser(prog=f"longtake train {name}", description=description)
    command.add_run_arguments(parser)
    parser.add_argument("--model", default="diorama", help=f"{' or '.join(MODELS)} (default: %(default)s)")
    parser.add_argument("--start", default="", help="the generator's weights: a file or a folder")
    parser.add_argument("--teacher", default="", help="the real score's weights")
    parser.add_argument("--critic", default="", help="the fake score's weights at the start")
    parser.add_argument("--prompts", default="", help="file with one prompt a line")
    parser.add_argument("--second-prompts", default="", help="file paired with it: what takes switch to")
    parser.add_argument("--texts", default="", help="folder of encoded prompts")
    parser.add_argument("--steps", type=int, help="train so many steps (default: the recipe's, or by --hours)")
    parser.add_argument("--ranks", type=int, help="processes on a CPU (default: 2)")
    parser.add_argument("--rehearsal", action="store_true", help="tiny networks with random weights: seconds")
    parser.add_argument("--tensorboard", action="store_true", help="write TensorBoard's files too")
    options = parser.parse_args(sys.argv[1:])
    world = WorldConfig(
        model=options.model,
        start=options.start,
        teacher=options.teacher,
        critic=options.critic,
        prompts=options.prompts,
        second_prompts=options.second_prompts,
        texts=options.texts,
        rehearsal=options.rehearsal,
        seed=options.seed,
    )
    settings = make(options.out, world)
    if options.rehearsal:
        settings = rehearsed(settings)
    loop = replace(
        settings.loop,
        device=options.device,
        seed=options.seed,
        hours=command.hours_of(options, 0.0),
        tensorboard=options.tensorboard,
    )
    if options.steps:
        loop = replace(loop, steps=options.steps)
    if options.ranks:
        loop = replace(loop, ranks=options.ranks)
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
