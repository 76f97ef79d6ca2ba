"""What the recipes `self_forcing` and `streaming` have in common: networks, losses, prompts and what is exported."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import torch
from torch import Tensor

from longtake.model.bounds import at_least, part, positive
from longtake.model.errors import ConfigError
from longtake.model.generation.schedule import Schedule
from longtake.model.network.transformer import Transformer
from longtake.model.ops.attention import bmm, sdpa
from longtake.model.training.compute import rank_and_ranks, working_dtype
from longtake.model.training.data.prompt_files import shuffled
from longtake.model.training.loop import WEIGHTS
from longtake.model.training.lora import LoraConfig, add_lora, merge_lora, save_lora
from longtake.model.training.objectives.dmd import DistributionMatching, DmdConfig
from longtake.model.training.objectives.levels import NoiseLevels
from longtake.model.training.objectives.rollout import Rollout, RolloutConfig
from longtake.model.training.objectives.scores import Conditioning
from longtake.model.training.objectives.self_forcing import ChunkSource, Distillation, Draws, FreshRollouts, Prompts
from longtake.model.training.objectives.streaming import LongTakes, StreamingConfig
from longtake.model.training.recipes.world_config import WorldConfig
from longtake.model.training.recipes.worlds import DISTILLATION, Need
from longtake.model.training.samples import SheetMaker
from longtake.model.training.sharded_run import AdamWConfig, ShardedConfig, ShardedTask, learner
from longtake.model.training.sharding import make_mesh, spread
from longtake.model.training.task import Turn
from longtake.model.training.whole_weights import gathered, write_network
from longtake.model.weights import Sampling

log = logging.getLogger(__name__)

Stage = Literal["self_forcing", "streaming"]
GENERATOR: Final = "generator"
CRITIC: Final = "critic"
CRITIC_WEIGHTS: Final = "critic.safetensors"
LORA: Final = "lora.pt"


@dataclass(frozen=True, kw_only=True)
class DistillationConfig:
    """Networks, losses and updates of a run. The defaults are LongLive's init stage, without its mistakes."""

    folder: Path
    """of the run"""
    stage: Stage = "self_forcing"
    world: WorldConfig = field(default_factory=WorldConfig)
    rollout: RolloutConfig = field(default_factory=RolloutConfig)
    blocks: int = 7
    """Length of a fresh take, for self_forcing."""
    streaming: StreamingConfig = field(default_factory=StreamingConfig)
    dmd: DmdConfig = field(default_factory=DmdConfig)
    levels: NoiseLevels = field(default_factory=NoiseLevels)
    score_shift: float | None = None
    """Shift by which scores turn flow into clean latents; None is the generator's own, 8 the public code's mistake."""
    generator: AdamWConfig = field(default_factory=lambda: AdamWConfig(lr=2e-6))
    critic: AdamWConfig = field(default_factory=lambda: AdamWConfig(lr=4e-7))
    generator_every: int = 5
    """The generator learns in one step of so many; the critic in all."""
    ema: float | None = 0.99
    """Share of the average that stays at a generator's update; None for no average (the public code's long stage)."""
    lora_rank: int = 0
    """Train low-rank changes of generator and critic only; 0 trains everything."""
    prompts_each: int = 1
    """Takes of each member of the batch."""
    checkpointing: bool = True
    """Compute layers again in the backward pass."""
    shard_ranks: int = 0
    """Ranks that share a copy of the weights: those of a node; 0 for all."""
    samples_every_s: float = 600.0
    """How often a sheet of samples is made, at a checkpoint; 0 for never."""
    reencode: bool = True
    """Whether a long take's window starts with an image latent, as Wan's videos do: its last picture before the
    overlap, encoded again. diorama's latents know no such thing."""

    def __post_init__(self) -> None:
        if self.stage not in ("self_forcing", "streaming"):
            raise ConfigError(f"stage is self_forcing or streaming, not {self.stage!r}")
        at_least(self, 1, "generator_every", "prompts_each", "blocks")
        at_least(self, 0, "lora_rank", "shard_ranks", "samples_every_s")
        part(self, "ema")
        if self.score_shift is not None:
            positive(self, "score_shift")

    @property
    def reencodes(self) -> bool:
        """Whether windows start with an image latent."""
        return self.reencode and self.stage == "streaming" and self.streaming.overlap_frames > 0

    @property
    def needed(self) -> Sequence[Need]:
        """What is asked of the world."""
        return (*DISTILLATION, "vae") if self.reencodes or self.samples_every_s else DISTILLATION


class DistillationTask(ShardedTask):
    """Generator and critic on the generator's own takes.

    Args:
        config: of the run.
        loop: of the loop; the batch's members and the seed.
        device: where to compute.
    """

    def __init__(self, config: DistillationConfig, loop: ShardedConfig, device: torch.device) -> None:
        self.config, self.device, self._members, self._seed = config, device, loop.members, loop.seed
        self.world = config.world.world(config.needed)
        mesh, compute = make_mesh(device, config.shard_ranks), working_dtype(device)
        networks = {GENERATOR: self.world.generator(), CRITIC: self.world.critic(), "teacher": self.world.teacher()}
        if config.lora_rank:
            for seed, name in enumerate((GENERATOR, CRITIC)):
                add_lora(networks[name], self._lora, seed=seed)
        networks["teacher"].requires_grad_(False)
        for network in networks.values():
            network.use_attention(bmm if device.type == "cpu" else sdpa)
            spread(network, mesh, compute=compute)
        self.generator, self.critic = networks[GENERATOR], networks[CRITIC]
        self.learners = {
            GENERATOR: learner(self.generator, config.generator, ema=config.ema),
            CRITIC: learner(self.critic, config.critic),
        }
        self.rollout = Rollout(
            self.generator,
            self.world.config,
            config.rollout,
            attention=bmm if device.type == "cpu" else sdpa,
            checkpointing=config.checkpointing,
            dtype=compute,
        )
        shift = self.world.config.shift
        scores = Schedule(config.score_shift or shift, device)
        self.matching = DistributionMatching(
            config.dmd,
            Schedule(shift, device),
            self.world.score(networks["teacher"], scores, device),
            self.world.score(self.critic, scores, device, checkpointing=config.checkpointing),
            Conditioning(text=self.world.negative().to(device)),
        )
        self._distillations: dict[int, Distillation] = {}
        self._sheets = SheetMaker(
            studio=partial(self.world.studio, device), device=device, every_s=config.samples_every_s
        )
        self._reencode = self.world.reencode(device) if config.reencodes else None

    @property
    def _lora(self) -> LoraConfig:
        return LoraConfig(rank=self.config.lora_rank, alpha=float(self.config.lora_rank))

    def learning(self, step: int) -> Sequence[str]:
        """See `ShardedTask`."""
        return (GENERATOR, CRITIC) if step % self.config.generator_every == 0 else (CRITIC,)

    def loss(self, name: str, member: int, turn: Turn) -> Tensor:
        """See `ShardedTask`."""
        distillation = self._distillation(member)
        prompts = self._prompts(member, turn)
        # The critic's takes are not the generator's.
        seeds = dict(zip(self.learners, turn.shared_rng.integers(2**62, size=2).tolist(), strict=True))
        draws = Draws(seed=seeds[name], rank=member, device=self.device)
        if name == GENERATOR:
            return distillation.generator_loss(prompts, draws)
        return distillation.critic_loss(prompts, draws)

    def prepare(self) -> None:
        """See `ShardedTask`."""
        log.info("%s: %d prompts, %d members a batch", self.config.stage, len(self.world.pairs), self._members)

    def _distillation(self, member: int) -> Distillation:
        """Return a member's losses: each member has a long take of its own."""
        if member not in self._distillations:
            source: ChunkSource
            if self.config.stage == "streaming":
                source = LongTakes(self.rollout, self.config.streaming, self._reencode)
            else:
                source = FreshRollouts(self.rollout, blocks=self.config.blocks)
            self._distillations[member] = Distillation(source, self.matching, self.config.levels)
        return self._distillations[member]

    @property
    def _frames(self) -> int:
        """Latent frames of the longest take."""
        if self.config.stage == "streaming":
            return self.config.streaming.longest_frames
        return self.config.blocks * self.world.config.block_frames

    def _prompts(self, member: int, turn: Turn) -> Prompts:
        """Return a member's prompts for a step, by the step's number alone."""
        first = (turn.step * self._members + member) * self.config.prompts_each
        pairs = self.world.pairs
        chosen = [pairs[shuffled(first + n, len(pairs), self._seed)] for n in range(self.config.prompts_each)]
        actions = self.world.actions(self._frames, len(chosen), turn.rng)
        if actions is not None:
            actions = actions.to(self.device)
        text = self.world.text([pair.first for pair in chosen]).to(self.device)
        after = [pair.second for pair in chosen if pair.second is not None]
        second = None
        if self.config.stage == "streaming" and len(after) == len(chosen):
            second = Conditioning(text=self.world.text(after).to(self.device), actions=actions)
        return Prompts(Conditioning(text=text, actions=actions), second)

    def member_state(self, member: int) -> dict[str, Any]:
        """See `ShardedTask`: the long take that the member is in the middle of."""
        source = self._distillation(member).source
        return source.state() if isinstance(source, LongTakes) else {}

    def restore_member(self, member: int, state: dict[str, Any]) -> None:
        """See `ShardedTask`."""
        source = self._distillation(member).source
        if isinstance(source, LongTakes):
            source.restore(state)

    def export(self, folder: Path, step: int) -> None:
        """See `ShardedTask`: averaged weights, the critic's, the LoRA, and a sheet of samples."""
        first = rank_and_ranks()[0] == 0
        made = {name: gathered(each, keep=first) for name, each in self.learners.items()}
        if not first:
            return
        networks = {name: self._plain(state) for name, state in made.items()}
        if self.config.lora_rank:
            save_lora(folder / LORA, generator=networks[GENERATOR], critic=networks[CRITIC], step=step)
            for network in networks.values():
                merge_lora(network)
        for name, file in ((GENERATOR, WEIGHTS), (CRITIC, CRITIC_WEIGHTS)):
            write_network(networks[name], folder / file, Sampling.of(self.world.config) if name == GENERATOR else None)
        if self._sheets.due():
            network = networks[GENERATOR].to(self.device, working_dtype(self.device)).eval()
            self._sheets.write(network, self.world.config, folder / "samples")

    def _plain(self, state: dict[str, Tensor]) -> Transformer:
        """Return a network that is not spread, on the CPU, with a state."""
        network = Transformer(self.world.config.transformer)
        if self.config.lora_rank:
            add_lora(network, self._lora)
        network.load_state_dict(state)
        return network
