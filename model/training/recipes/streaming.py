"""Tune a generator on its own long takes, with a prompt switch in each: LongLive's long stage.

    longtake train streaming --out runs/long --start runs/distilled/ema.safetensors --hours 2     # diorama
    torchrun --nproc-per-node 8 -m longtake.model.training.recipes.streaming --model longlive-1.3b \
        --device cuda --out runs/long --start runs/init/ema.safetensors --critic runs/init/critic.safetensors \
        --teacher Wan2.1-T2V-14B --prompts prompts.txt --second-prompts switches.txt --texts texts
"""

from dataclasses import replace
from pathlib import Path

from longtake.model.training.ending import carry_out
from longtake.model.training.objectives.dmd import DmdConfig
from longtake.model.training.objectives.levels import NoiseLevels
from longtake.model.training.objectives.streaming import StreamingConfig
from longtake.model.training.recipes import distillation_command
from longtake.model.training.recipes.distillation import DistillationConfig
from longtake.model.training.recipes.distillation_command import DistillationRecipe
from longtake.model.training.recipes.world_config import WorldConfig
from longtake.model.training.sharded_run import AdamWConfig, ShardedConfig


def recipe(folder: Path, world: WorldConfig) -> DistillationRecipe:
    """Return the settings of a world: the paper's for longlive-1.3b, smaller ones for diorama."""
    task = DistillationConfig(
        folder=folder,
        stage="streaming",
        world=world,
        generator=AdamWConfig(lr=1e-5),
        critic=AdamWConfig(lr=2e-6),
        lora_rank=256,
    )
    if world.model == "diorama":
        task = replace(
            task,
            # 30 s: some thirteen times what the window holds.
            streaming=StreamingConfig(window_frames=12, chunk_frames=10, longest_frames=122),
            levels=NoiseLevels(shift=2.5),
            dmd=DmdConfig(guidance=0.0),
            generator=AdamWConfig(lr=1e-4),
            critic=AdamWConfig(lr=2e-4),
            lora_rank=32,
            prompts_each=4,
            checkpointing=False,
        )
        return DistillationRecipe(task=task, loop=ShardedConfig(steps=2000, members=2, ema_start=0))
    # The paper's counter goes on from 700 to 3,000.
    return DistillationRecipe(
        task=task, loop=ShardedConfig(steps=2300, members=64, ema_start=0, checkpoint_every_s=1800.0, log_every=5)
    )


def main() -> None:
    """Command line of one run."""
    distillation_command.main("streaming", "Tune a generator on its own long takes.", recipe)


if __name__ == "__main__":
    carry_out(main)
