"""Distil a generator on its own short takes (self-forcing with distribution matching): LongLive's init stage.

    longtake train self-forcing --out runs/distilled --hours 2                                    # diorama
    torchrun --nproc-per-node 8 -m longtake.model.training.recipes.self_forcing --model longlive-1.3b \
        --device cuda --out runs/init --start runs/ode/ema.safetensors --teacher Wan2.1-T2V-14B \
        --critic Wan2.1-T2V-1.3B --prompts prompts.txt --texts texts
"""

from dataclasses import replace
from pathlib import Path

from longtake.model.training.ending import carry_out
from longtake.model.training.objectives.dmd import DmdConfig
from longtake.model.training.objectives.levels import NoiseLevels
from longtake.model.training.recipes import distillation_command
from longtake.model.training.recipes.distillation import DistillationConfig
from longtake.model.training.recipes.distillation_command import DistillationRecipe
from longtake.model.training.recipes.world_config import WorldConfig
from longtake.model.training.sharded_run import AdamWConfig, ShardedConfig


def recipe(folder: Path, world: WorldConfig) -> DistillationRecipe:
    """Return the settings of a world: the paper's for longlive-1.3b, smaller ones for diorama."""
    task = DistillationConfig(folder=folder, stage="self_forcing", world=world)
    if world.model == "diorama":
        task = replace(
            task,
            blocks=12,
            levels=NoiseLevels(shift=2.5),
            dmd=DmdConfig(guidance=0.0),  # The teacher was trained for sampling without it.
            generator=AdamWConfig(lr=5e-5),
            critic=AdamWConfig(lr=1e-4),
            prompts_each=4,
            checkpointing=False,
        )
        return DistillationRecipe(task=task, loop=ShardedConfig(steps=2000, members=2))
    # 700 steps of a batch of 64 (arXiv 2509.22622).
    return DistillationRecipe(
        task=task, loop=ShardedConfig(steps=700, members=64, checkpoint_every_s=1800.0, log_every=5)
    )


def main() -> None:
    """Command line of one run."""
    distillation_command.main("self-forcing", "Distil a generator on its own short takes.", recipe)


if __name__ == "__main__":
    carry_out(main)
