"""Make a teacher's trajectories, on which `ode-init` trains: from noise to clean latents, kept at the student's steps.

    longtake train trajectories --out data/paths --minutes 20                                          # diorama
    torchrun --nproc-per-node 8 -m longtake.model.training.recipes.trajectories --model longlive-1.3b --device cuda \
        --out data/paths --teacher Wan2.1-T2V-14B --prompts prompts.txt --texts texts

Each is a file of its own, there whole or not at all. A run that was stopped makes what is missing, with any number of
ranks: the noise of a trajectory comes from its number alone.
"""

import hashlib
import logging
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
import torch
from torch import Tensor, distributed

from longtake.model.bounds import at_least
from longtake.model.command_line import Parser
from longtake.model.generation.schedule import Schedule
from longtake.model.ops.attention import bmm, sdpa
from longtake.model.training import command
from longtake.model.training.compute import rank_and_ranks, working_dtype
from longtake.model.training.data.prompt_files import shuffled
from longtake.model.training.data.trajectories import Trajectory, TrajectoryFolder, TrajectoryPlan
from longtake.model.training.ending import carry_out
from longtake.model.training.launch import launch_loop
from longtake.model.training.objectives.scores import Conditioning
from longtake.model.training.objectives.self_forcing import Draws
from longtake.model.training.pace import Loop, PaceConfig
from longtake.model.training.recipes.world_config import WorldConfig, add_world_arguments, world_of
from longtake.model.training.recipes.worlds import Need, TrainingWorld
from longtake.model.training.settings import changed
from longtake.model.training.sharding import leave_mesh, make_mesh, spread
from longtake.model.training.task import Turn

log = logging.getLogger(__name__)

NEEDED: Final[tuple[Need, ...]] = ("teacher", "texts", "prompts")


@dataclass(frozen=True, kw_only=True)
class TrajectoriesConfig:
    """What is made. The defaults are for Wan, whose own sampler takes 50 steps and a weight of 5, guidance 4 here."""

    folder: Path
    """that they go to"""
    world: WorldConfig = field(default_factory=WorldConfig)
    count: int = 0
    """how many; 0 for one of each prompt"""
    blocks: int = 7
    """length of each"""
    steps: int = 48
    """of the solver; the student's own are added if they are not among them"""
    guidance: float = 4.0
    """away from the negative prompt: wanted + guidance * (wanted - negative)"""
    takes_each: int = 1
    """trajectories that a rank makes together"""
    shard_ranks: int = 0
    """ranks that share a copy of the teacher; 0 for all"""

    def __post_init__(self) -> None:
        at_least(self, 1, "blocks", "steps", "takes_each")
        at_least(self, 0, "count", "guidance", "shard_ranks")


class TrajectoriesTask:
    """The teacher, spread over the ranks, and the folder.

    Args:
        config: of the run.
        device: where to compute.
    """

    def __init__(self, config: TrajectoriesConfig, device: torch.device) -> None:
        self.config, self.device = config, device
        self.world = config.world.world(NEEDED)
        self.folder = TrajectoryFolder(config.folder)
        self.frames = config.blocks * self.world.config.block_frames
        compute = working_dtype(device)
        network = self.world.teacher().requires_grad_(False)
        network.use_attention(bmm if device.type == "cpu" else sdpa)
        spread(network, make_mesh(device, config.shard_ranks), compute=compute)
        self._teacher = self.world.path_teacher(
            network, steps=config.steps, guidance=config.guidance, device=device, dtype=compute
        )

    @property
    def count(self) -> int:
        """Trajectories that are wanted."""
        return self.config.count or len(self.world.pairs)

    def make(self, numbers: Sequence[int]) -> list[Trajectory]:
        """Return the trajectories of some numbers; all ranks have to ask for as many."""
        world, seed, pairs = self.world, self.config.world.seed, self.world.pairs
        prompts = [pairs[shuffled(number, len(pairs), seed)].first for number in numbers]
        rngs = [np.random.default_rng((seed, number)) for number in numbers]
        each = [world.actions(self.frames, 1, rng) for rng in rngs]
        given = [actions for actions in each if actions is not None]
        actions = torch.cat(given).to(self.device) if given else None
        conditioning = Conditioning(text=world.text(prompts).to(self.device), actions=actions)
        draws = NumberedDraws([int(rng.integers(2**62)) for rng in rngs], self.device)
        made = self._teacher.trajectory(conditioning, self.frames, draws)
        return [
            Trajectory(latents=made[:, row], prompt=prompt, actions=None if actions is None else actions[row])
            for row, prompt in enumerate(prompts)
        ]

    def prepare(self) -> None:
        """See `Trainee`."""

    def close(self) -> None:
        """See `Trainee`."""
        leave_mesh()


class NumberedDraws(Draws):
    """Noise whose every member comes from a seed of its own.

    Args:
        seeds: of the members.
        device: where the noise is drawn.
    """

    def __init__(self, seeds: Sequence[int], device: torch.device) -> None:
        super().__init__(seed=0, device=device)
        self._members = [Draws(seed=seed, device=device) for seed in seeds]

    def noise(self, *shape: int) -> Tensor:
        """Return noise [..., B, F, C, h, w] for as many members as there are seeds."""
        *before, batch, frames, channels, height, width = shape
        assert batch == len(self._members), "one seed each"
        rows = [each.noise(*before, 1, frames, channels, height, width) for each in self._members]
        return torch.cat(rows, dim=len(before))


class TrajectoriesRun(Loop):
    """A step makes the next missing trajectories, some on each rank.

    Args:
        task: makes them.
        config: pace; its steps do not count.
        folder: of the run's log, and of the trajectories.
        rank: of this process.
    """

    def __init__(self, task: TrajectoriesTask, config: PaceConfig, folder: Path, rank: int) -> None:
        super().__init__(config, folder, rank)
        self._task = task
        self._missing: list[int] = []

    def resume(self) -> bool:
        """See `Loop`."""
        task, found = self._task, list[list[int]]([[]])
        if self.rank == 0:
            there = set(task.folder.numbers())
            found = [[number for number in range(task.count) if number not in there]]
        # What is missing is what rank 0 says, however late the others look.
        distributed.broadcast_object_list(found, src=0)
        self._missing = found[0]
        log.info("%d of %d trajectories are missing", len(self._missing), task.count)
        return len(self._missing) < task.count

    def update(self, turn: Turn) -> dict[str, float | Tensor]:
        """See `Loop`."""
        rank, ranks = rank_and_ranks()
        each = self._task.config.takes_each
        now = self._missing[: each * ranks]
        # All ranks compute alike, or the teacher's shares could not be gathered: one with nothing left makes another's.
        own = now[rank * each : (rank + 1) * each]
        made = self._task.make(own or now[:each])
        for number, trajectory in zip(own, made, strict=False):
            self._task.folder.write(number, trajectory)
        self._missing = self._missing[each * ranks :]
        self.step += 1
        return {"made": float(self._task.count - len(self._missing))}

    def checkpoint(self) -> None:
        """See `Loop`: every file is one."""

    def _own_progress(self) -> float:
        done = 1 - len(self._missing) / self._task.count
        return max(done, super()._own_progress()) if self.pace.hours else done


def plan_of(config: TrajectoriesConfig, world: TrainingWorld) -> TrajectoryPlan:
    """Return what a run's trajectories are of."""
    generator = world.config
    text = "\n".join(pair.first for pair in world.pairs)
    return TrajectoryPlan(
        model=config.world.model,
        teacher=config.world.teacher,
        timesteps=tuple(Schedule(generator.shift).warp(generator.timesteps)),
        latents=(config.blocks * generator.block_frames, *generator.transformer.latent_shape),
        actions=generator.transformer.actions,
        steps=config.steps,
        guidance=config.guidance,
        prompts=hashlib.blake2b(text.encode(), digest_size=8).hexdigest(),
        seed=config.world.seed,
    )


def recipe(folder: Path, world: WorldConfig) -> TrajectoriesConfig:
    """Return the settings of a world."""
    # LongLive's paper does not say how many; a teacher of 14B takes minutes for each.
    task = TrajectoriesConfig(folder=folder, world=world, count=1000)
    if world.model == "diorama":
        # Its teacher was trained for sampling without guidance, and for 24 steps.
        task = replace(task, count=512, blocks=12, steps=24, guidance=0.0, takes_each=8)
    if world.rehearsal:
        task = replace(task, count=5, blocks=2, steps=8, takes_each=min(task.takes_each, 2))
    return task


def main() -> None:
    """Command line of one run."""
    parser = Parser(prog="longtake train trajectories", description="Make a teacher's trajectories.")
    command.add_run_arguments(parser)
    add_world_arguments(parser, leave_out=("start", "critic", "second_prompts", "vae"))
    parser.add_argument("--ranks", type=command.count, help="processes on a CPU (default: 2)")
    options = parser.parse_args(sys.argv[1:])
    config = changed(recipe(options.out, world_of(options)), options.set)
    world = config.world.world(NEEDED)
    world.check()
    TrajectoryFolder(config.folder).claim(plan_of(config, world))
    pace = PaceConfig(steps=1, log_every=1, device=options.device, seed=options.seed)
    pace = replace(pace, ranks=options.ranks or pace.ranks, hours=command.hours_of(options, 0.0))
    launch_loop(partial(TrajectoriesTask, config), TrajectoriesRun, pace, config.folder, asdict(config))


if __name__ == "__main__":
    carry_out(main)
