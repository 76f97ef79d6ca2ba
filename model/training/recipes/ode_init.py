"""Teach a few-step generator where its teacher's trajectories end (ODE initialisation): the stage before self-forcing.

    longtake train ode-init --out runs/ode --trajectories data/paths --hours 1                         # diorama
    torchrun --nproc-per-node 8 -m longtake.model.training.recipes.ode_init --model longlive-1.3b --device cuda \
        --out runs/ode --start Wan2.1-T2V-1.3B --trajectories data/paths --texts texts
"""

import logging
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from longtake.model.bounds import at_least, part
from longtake.model.command_line import Parser
from longtake.model.errors import TrainingError
from longtake.model.generation.schedule import Schedule
from longtake.model.network.transformer import Transformer
from longtake.model.ops.attention import bmm, sdpa
from longtake.model.training import command
from longtake.model.training.compute import rank_and_ranks, working_dtype
from longtake.model.training.data.prompt_files import shuffled
from longtake.model.training.data.trajectories import AGAIN, TrajectoryFolder
from longtake.model.training.ending import carry_out
from longtake.model.training.launch import launch_loop
from longtake.model.training.loop import WEIGHTS
from longtake.model.training.objectives.ode import OdeRegression
from longtake.model.training.objectives.rollout import Rollout
from longtake.model.training.objectives.scores import Conditioning
from longtake.model.training.objectives.self_forcing import Draws
from longtake.model.training.recipes.world_config import WorldConfig, add_world_arguments, world_of
from longtake.model.training.recipes.worlds import Need, TrainingWorld
from longtake.model.training.samples import SheetMaker
from longtake.model.training.settings import changed
from longtake.model.training.sharded_run import AdamWConfig, ShardedConfig, ShardedRun, ShardedTask, learner
from longtake.model.training.sharding import make_mesh, spread
from longtake.model.training.task import Turn
from longtake.model.training.whole_weights import gathered, write_network
from longtake.model.weights import Sampling

log = logging.getLogger(__name__)

STUDENT: Final = "generator"


@dataclass(frozen=True, kw_only=True)
class OdeConfig:
    """Network, trajectories and updates of a run."""

    folder: Path
    """of the run"""
    trajectories: Path
    """folder of `longtake train trajectories`"""
    world: WorldConfig = field(default_factory=WorldConfig)
    generator: AdamWConfig = field(default_factory=lambda: AdamWConfig(lr=5e-6))
    ema: float | None = 0.99
    """share of the average that stays at an update; None for no average"""
    prompts_each: int = 1
    """trajectories of each member of the batch"""
    checkpointing: bool = True
    """compute layers again in the backward pass"""
    shard_ranks: int = 0
    """ranks that share a copy of the weights: those of a node; 0 for all"""
    samples_every_s: float = 600.0
    """how often a sheet of samples is made, at a checkpoint; 0 for never"""

    def __post_init__(self) -> None:
        at_least(self, 1, "prompts_each")
        at_least(self, 0, "shard_ranks", "samples_every_s")
        part(self, "ema")

    @property
    def needed(self) -> Sequence[Need]:
        """What is asked of the world."""
        return ("start", "texts", "vae") if self.samples_every_s else ("start", "texts")


class OdeTask(ShardedTask):
    """The student on its teacher's trajectories.

    Args:
        config: of the run.
        loop: of the loop; the batch's members and the seed.
        device: where to compute.
    """

    def __init__(self, config: OdeConfig, loop: ShardedConfig, device: torch.device) -> None:
        self.config, self.device, self._members, self._seed = config, device, loop.members, loop.seed
        self.world = config.world.world(config.needed)
        self.folder = TrajectoryFolder(config.trajectories)
        self._numbers = fitting(self.folder, self.world, config.world.model)
        compute, attention = working_dtype(device), bmm if device.type == "cpu" else sdpa
        network = self.world.generator()
        network.use_attention(attention)
        spread(network, make_mesh(device, config.shard_ranks), compute=compute)
        self.learners = {STUDENT: learner(network, config.generator, ema=config.ema)}
        rollout = Rollout(
            network, self.world.config, attention=attention, checkpointing=config.checkpointing, dtype=compute
        )
        self._regression = OdeRegression(rollout)
        self._sheets = SheetMaker(
            studio=partial(self.world.studio, device), device=device, every_s=config.samples_every_s
        )

    def learning(self, step: int) -> Sequence[str]:
        """See `ShardedTask`."""
        return (STUDENT,)

    def loss(self, name: str, member: int, turn: Turn) -> Tensor:
        """See `ShardedTask`."""
        first = (turn.step * self._members + member) * self.config.prompts_each
        places = [shuffled(first + n, len(self._numbers), self._seed) for n in range(self.config.prompts_each)]
        chosen = [self.folder.read(self._numbers[place]) for place in places]
        held = [each.actions for each in chosen if each.actions is not None]
        conditioning = Conditioning(
            text=self.world.text([each.prompt for each in chosen]).to(self.device),
            actions=torch.stack(held).to(self.device) if held else None,
        )
        path = torch.stack([each.latents for each in chosen], dim=1).to(self.device)
        draws = Draws(seed=int(turn.shared_rng.integers(2**62)), rank=member, device=self.device)
        return self._regression.loss(conditioning, path, draws)

    def prepare(self) -> None:
        """See `ShardedTask`."""
        log.info("ode-init: %d trajectories, %d members a batch", len(self._numbers), self._members)

    def member_state(self, member: int) -> dict[str, Any]:
        """See `ShardedTask`: all comes from the step's number."""
        return {}

    def restore_member(self, member: int, state: dict[str, Any]) -> None:
        """See `ShardedTask`."""

    def export(self, folder: Path, step: int) -> None:
        """See `ShardedTask`: averaged weights, and a sheet of samples."""
        first = rank_and_ranks()[0] == 0
        state = gathered(self.learners[STUDENT], keep=first)
        if not first:
            return
        network = Transformer(self.world.config.transformer)
        network.load_state_dict(state)
        write_network(network, folder / WEIGHTS, Sampling.of(self.world.config))
        if self._sheets.due():
            network.to(self.device, working_dtype(self.device)).eval()
            self._sheets.write(network, self.world.config, folder / "samples")


def fitting(folder: TrajectoryFolder, world: TrainingWorld, model: str) -> list[int]:
    """Return the numbers of a folder's trajectories.

    Raises:
        TrainingError: there are none, or they are of another model, of latents of another size or of another sampler.
    """
    plan, sizes = folder.plan(), world.config.transformer
    ours = {
        "model": (model, plan.model),
        "latents": (sizes.latent_shape, plan.latents[1:]),
        "actions": (sizes.actions, plan.actions),
        "timesteps": (tuple(Schedule(world.config.shift).warp(world.config.timesteps)), plan.timesteps),
    }
    for name, (wanted, found) in ours.items():
        if wanted != found:
            raise TrainingError(
                f"{folder.path} holds trajectories of other {name} ({found}) than the generator's ({wanted}); "
                f"{AGAIN} for this model"
            )
    numbers = folder.numbers()
    if not numbers:
        raise TrainingError(f"{folder.path} holds no trajectories yet; {AGAIN}")
    return numbers


@dataclass(frozen=True, kw_only=True)
class OdeRecipe:
    """A run: what is trained, and how."""

    task: OdeConfig
    loop: ShardedConfig


def recipe(folder: Path, trajectories: Path, world: WorldConfig) -> OdeRecipe:
    """Return the settings of a world."""
    task = OdeConfig(folder=folder, trajectories=trajectories, world=world)
    # LongLive's paper gives no numbers for this stage: step size and steps are guesses.
    loop = ShardedConfig(steps=1000, members=64, checkpoint_every_s=1800.0, log_every=5)
    if world.model == "diorama":
        task = replace(task, generator=AdamWConfig(lr=1e-4), prompts_each=4, checkpointing=False)
        loop = ShardedConfig(steps=1000, members=2)
    if world.rehearsal:
        task = replace(task, samples_every_s=0.0)
        loop = replace(loop, steps=4, members=2, log_every=1, ema_start=1)
    return OdeRecipe(task=task, loop=loop)


def main() -> None:
    """Command line of one run."""
    parser = Parser(prog="longtake train ode-init", description="Train on a teacher's trajectories.")
    command.add_run_arguments(parser)
    command.add_loop_arguments(parser)
    add_world_arguments(parser, leave_out=("teacher", "critic", "prompts", "second_prompts"))
    parser.add_argument("--trajectories", type=Path, required=True, help="folder of `longtake train trajectories`")
    options = parser.parse_args(sys.argv[1:])
    settings = recipe(options.out, options.trajectories, world_of(options))
    settings = changed(replace(settings, loop=command.loop_of(settings.loop, options)), options.set)
    train(settings)


def train(settings: OdeRecipe) -> None:
    """Run a recipe; see `launch_loop` for the errors. What cannot be had is said before any rank starts."""
    task = settings.task
    world, folder = task.world.world(task.needed), TrajectoryFolder(task.trajectories)
    numbers = fitting(folder, world, task.world.model)
    world.check()
    world.check_texts([folder.read(number).prompt for number in numbers])
    make: Callable[[torch.device], OdeTask] = partial(OdeTask, task, settings.loop)
    launch_loop(make, ShardedRun, settings.loop, task.folder, asdict(task))


if __name__ == "__main__":
    carry_out(main)
