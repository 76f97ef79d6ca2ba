"""Computes what the stages of LongLive's training cost: operations, time and memory of each on so many GPUs.

Only the recipes' settings and the networks' sizes count, so no GPU is needed. How it is counted:

- A network's forward pass costs what `plan.forward_cost` says. The backward pass costs its products twice, for the
  gradients of inputs and of weights (once where LoRA freezes the weights), and its attention 2.5 times, as fused
  attention computes the scores again (arXiv 2307.08691). Checkpointing runs the forward pass a second time.
- A rollout leaves the sampler at a step drawn evenly, so of n steps (n - 1) / 2 run without gradients; then the exit
  step, and the clean pass.
- Times are given at the data sheet's peak, and at the rates measured in inference. Nothing of it was measured in
  training. Exchange between GPUs is counted by itself, as if none of it were hidden behind the products.
- Memory is counted in `plan_training_memory`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import ceil
from pathlib import Path
from typing import Final

from longtake.model.config import GeneratorConfig, TransformerConfig, preset
from longtake.model.errors import ConfigError
from longtake.model.evaluation.plan import (
    HALF_BYTES,
    Cost,
    forward_cost,
    plan_source,
    product_cost,
)
from longtake.model.evaluation.plan_devices import Device
from longtake.model.training.plan_training_memory import Held, disk_of, memory_of, values_of
from longtake.model.training.recipes import ode_init, self_forcing, streaming, trajectories
from longtake.model.training.recipes.distillation_command import DistillationRecipe
from longtake.model.training.recipes.wan_world import WAN_14B
from longtake.model.training.recipes.world_config import WorldConfig

MODEL: Final = "longlive-1.3b"
FLOAT_BYTES: Final = 4
BACKWARD_ATTENTION: Final = 2.5
NVLINK: Final = 450e9
"""bytes a second in one direction; NVLink 4's data sheet says 900e9 in both"""
NETWORK: Final = 50e9
"""bytes a second and GPU between nodes: 400 Gb/s, usual for H100s"""


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """GPUs, of which those of a node share a copy of the weights.

    Raises:
        ConfigError: they are not whole nodes.
    """

    device: Device
    gpus: int
    node: int = 8

    def __post_init__(self) -> None:
        if self.gpus < 1 or self.node < 1 or (self.gpus > self.node and self.gpus % self.node):
            raise ConfigError(f"{self.gpus} GPUs are not whole nodes of {self.node}; give another --gpus or --node")

    @property
    def shares(self) -> int:
        """GPUs that share a copy of the weights."""
        return min(self.gpus, self.node)


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a member of the batch costs in a step."""

    cost: Cost = field(default_factory=Cost)
    vae_flop: float = 0.0
    gathered_bytes: float = 0.0
    """weights that are gathered for it, whole"""

    def __add__(self, other: "Work") -> "Work":
        return Work(
            cost=self.cost + other.cost,
            vae_flop=self.vae_flop + other.vae_flop,
            gathered_bytes=self.gathered_bytes + other.gathered_bytes,
        )

    def times(self, count: float) -> "Work":
        """Return the work of several."""
        return Work(
            cost=self.cost.times(count),
            vae_flop=self.vae_flop * count,
            gathered_bytes=self.gathered_bytes * count,
        )


@dataclass(frozen=True, kw_only=True)
class StagePlan:
    """What a stage costs on a cluster."""

    stage: str
    steps: int
    members: int
    """of a step's batch, over all GPUs"""
    step_tflop: float
    """of a GPU"""
    peak_step_s: float
    """products alone, at the data sheet's rate"""
    step_s: float
    """at the rates measured in inference; as `peak_step_s` if nothing was measured"""
    exchange_s: float
    """a step's exchange between GPUs, were none of it hidden"""
    hours: float
    """of the stage by `step_s`"""
    memory_gb: dict[str, float]
    """of a GPU, by use"""
    disk_gb: float
    """a checkpoint of the run; for trajectories, all of them"""

    @property
    def total_gb(self) -> float:
        """Memory of a GPU."""
        return sum(self.memory_gb.values())


def plan_training(cluster: Cluster) -> list[StagePlan]:
    """Return the plan of every stage, by the recipes' own settings.

    Raises:
        ConfigError: the GPUs cannot share a stage's batch.
        BackendError: diffusers, by which the VAE is counted, is not installed.
    """
    world, config = WorldConfig(model=MODEL), preset(MODEL)
    paths = trajectories.recipe(Path(), world)
    ode = ode_init.recipe(Path(), Path(), world)
    init, long = self_forcing.recipe(Path(), world), streaming.recipe(Path(), world)
    frames = paths.blocks * config.block_frames
    vae = plan_source(MODEL).decoders(config.transformer)["wan"]
    held = Held(config=config, teacher=WAN_14B, vae=vae)
    path = score(WAN_14B, frames).times(paths.steps * _twice(paths.guidance))
    # A step makes one on each GPU.
    made = _stage(cluster, held, "trajectories", path, steps=ceil(paths.count / cluster.gpus), members=cluster.gpus)
    student = rollout(config, range(paths.blocks), before=0.0, gradient=True)
    taught = _stage(cluster, held, "ode-init", student, steps=ode.loop.steps, members=ode.loop.members)
    return [
        made,
        taught,
        _distillation(cluster, held, "self-forcing", init, range(init.task.blocks)),
        _distillation(cluster, held, "streaming", long, _late(config, long.task.streaming.chunk_frames)),
    ]


def _distillation(cluster: Cluster, held: Held, stage: str, recipe: DistillationRecipe, blocks: range) -> StagePlan:
    """Plan a stage with generator, critic and teacher.

    Args:
        cluster, held: as for `memory_of`.
        stage: its name.
        recipe: its settings.
        blocks: those that a rollout makes.
    """
    config, task, loop = held.config, recipe.task, recipe.loop
    rank, long = task.lora_rank, task.stage == "streaming"
    window = task.streaming.window_frames if long else task.blocks * config.block_frames
    before = (len(config.timesteps) - 1) / 2
    judged = score(held.teacher, window).times(_twice(task.dmd.guidance))
    turn = rollout(config, blocks, before=before, gradient=True, rank=rank)
    turn += score(config.transformer, window, rank=rank) + judged
    work = turn.times(1 / task.generator_every)
    work += rollout(config, blocks, before=before, gradient=False, rank=rank)
    work += score(config.transformer, window, rank=rank, gradient=True)
    if long and task.reencode:
        # A chunk of the generator's turn and one of the critic's. The one picture that is encoded is left out.
        decoded = window - task.streaming.overlap_frames + 1
        work += Work(vae_flop=held.vae.flop * decoded * (1 + 1 / task.generator_every))
    return _stage(cluster, held, stage, work, steps=loop.steps, members=loop.members, rank=rank)


def _stage(
    cluster: Cluster, held: Held, stage: str, work: Work, *, steps: int, members: int, rank: int = 0
) -> StagePlan:
    if members % cluster.gpus:
        raise ConfigError(f"{cluster.gpus} GPUs cannot share the {members} members of {stage}'s batch")
    each = members // cluster.gpus
    own, device = work.times(each), cluster.device
    peak_s = (own.cost.flop + own.vae_flop) / device.flops
    memory = memory_of(held, stage, shares=cluster.shares, members=each, rank=rank)
    step_s = measured_seconds(own, device) or peak_s
    return StagePlan(
        stage=stage,
        steps=steps,
        members=members,
        step_tflop=(own.cost.flop + own.vae_flop) / 1e12,
        peak_step_s=peak_s,
        step_s=step_s,
        exchange_s=exchange_seconds(own, held, stage, cluster, rank),
        hours=steps * step_s / 3600,
        memory_gb={use: size / 1e9 for use, size in memory.items() if size},
        disk_gb=disk_of(held, stage, members=members, rank=rank, steps=steps) / 1e9,
    )


def measured_seconds(work: Work, device: Device) -> float | None:
    """Return the time by the rates measured in inference; None if there are none."""
    rates = device.rates
    if rates is None:
        return None
    cost = work.cost
    products = cost.linear_flop / rates.products["plain"] + cost.attention_flop / rates.attention["sdpa"]
    return products + cost.other_bytes / rates.between["eager"] + work.vae_flop / rates.decoders["wan"]


def exchange_seconds(work: Work, held: Held, stage: str, cluster: Cluster, rank: int) -> float:
    """Return a step's exchange: weights gathered within a node, and gradients summed within it and between nodes."""
    shares, nodes = cluster.shares, cluster.gpus // cluster.shares
    trained = FLOAT_BYTES * held.trained_values(stage, rank)
    within = (work.gathered_bytes + trained) * (1 - 1 / shares)
    between = 2 * trained / shares * (1 - 1 / nodes)
    return within / NVLINK + between / NETWORK


def rollout(config: GeneratorConfig, blocks: Iterable[int], *, before: float, gradient: bool, rank: int = 0) -> Work:
    """Return the work of making blocks.

    Args:
        config: of the generator.
        blocks: their indices in the take.
        before: steps without gradients before the exit step.
        gradient: whether the exit step has gradients.
        rank: of the LoRA; 0 trains everything.
    """
    total, frames = Work(), config.block_frames
    for block in blocks:
        seen = min(config.window_frames, (block + 1) * frames)
        one = _pass(config.transformer, frames, seen, rank)
        total += one.times(before + 1) + (_trained(one, rank) if gradient else one)
    return total


def score(sizes: TransformerConfig, frames: int, *, gradient: bool = False, rank: int = 0) -> Work:
    """Return the work of a score network on a window, with its backward pass if it learns."""
    one = _pass(sizes, frames, frames, rank)
    return _trained(one, rank) if gradient else one


def _pass(sizes: TransformerConfig, frames: int, seen: float, rank: int) -> Work:
    cost, tokens = forward_cost(sizes, frames, seen), frames * sizes.frame_tokens
    if rank:
        side = product_cost(tokens, sizes.dim, rank) + product_cost(tokens, rank, sizes.dim)
        ffn = product_cost(tokens, sizes.ffn_dim, rank) + product_cost(tokens, rank, sizes.ffn_dim)
        # Of the eight square maps, the prompt's keys and values count once a take only.
        cost += (side.times(6) + side + ffn).times(sizes.layers)
    return Work(cost=cost, gathered_bytes=HALF_BYTES * values_of(sizes))


def _trained(work: Work, rank: int) -> Work:
    """Return a pass with gradients: forward, forward again, and backward."""
    cost, products = work.cost, 1 if rank else 2
    again = Cost(
        linear_flop=cost.linear_flop * (2 + products),
        attention_flop=cost.attention_flop * (2 + BACKWARD_ATTENTION),
        product_bytes=cost.product_bytes * (2 + products),
        other_bytes=cost.other_bytes * 4,
    )
    # Gathered for the forward pass and for the backward one, which computes the layer again with the same weights.
    return Work(cost=again, vae_flop=0.0, gathered_bytes=2 * work.gathered_bytes)


def _late(config: GeneratorConfig, frames: int) -> range:
    """Return the blocks of a chunk whose window is full."""
    full = config.window_frames // config.block_frames
    return range(full, full + frames // config.block_frames)


def _twice(guidance: float) -> int:
    """Passes of a score: guidance needs the negative prompt's too."""
    return 2 if guidance else 1
