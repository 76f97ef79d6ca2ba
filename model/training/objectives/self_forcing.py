"""Self-forcing: the generator learns from its own takes, made as at play time (arXiv 2506.08009, LongLive).

    distillation = Distillation(FreshRollouts(rollout, blocks=7), matching, NoiseLevels())
    draws = Draws.at(turn, rank=rank, device=device)
    if turn.step % 5 == 0:                                     # both gradients before either optimiser moves
        distillation.generator_loss(prompts, draws).backward()
    distillation.critic_loss(prompts, draws).backward()

Where chunks come from is what tells the stages apart: fresh rollouts here, one long take in `streaming`.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor

from longtake.model.errors import ConfigError
from longtake.model.training.objectives.critic import critic_loss
from longtake.model.training.objectives.dmd import DistributionMatching
from longtake.model.training.objectives.levels import NoiseLevels
from longtake.model.training.objectives.rollout import Rollout
from longtake.model.training.objectives.scores import Conditioning
from longtake.model.training.task import Turn


class Prompts(NamedTuple):
    """What a take is made under: at first, and after its switch if it has one."""

    first: Conditioning
    second: Conditioning | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Chunk:
    """Frames that a generator made, and the window of them that the scores see.

    Attributes:
        first_frame: of the new frames, in the take.
        latents: the new frames, [B, F, C, h, w].
        window: what the scores see, [B, W, C, h, w]; the new frames are its last.
        mask: frames of the window that count in the losses, [B, W] bool; None for all.
        conditioning: what the new frames were made under, for the frames of the window.
    """

    first_frame: int
    latents: Tensor
    window: Tensor
    mask: Tensor | None
    conditioning: Conditioning


class Draws:
    """The random choices of a step.

    Args:
        seed: what they come from.
        rank: of the process. Exit steps and switches are the same on all ranks, so that none waits for another;
            noise and noise levels are each rank's own.
        device: where noise and noise levels are drawn.
    """

    def __init__(self, *, seed: int, rank: int = 0, device: torch.device | str = "cpu") -> None:
        # By way of numpy, which spreads seeds: torch would give neighbours on other ranks and steps the same noise.
        shared, own = (np.random.default_rng((seed, stream)) for stream in (0, rank + 1))
        self.shared = torch.Generator().manual_seed(int(shared.integers(2**32)))
        self.own = torch.Generator(device).manual_seed(int(own.integers(2**32)))

    @classmethod
    def at(cls, turn: Turn, *, rank: int = 0, device: torch.device | str = "cpu") -> "Draws":
        """Return the choices of a turn of the training loop; every rank has to ask once."""
        return cls(seed=int(turn.shared_rng.integers(2**62)), rank=rank, device=device)

    def choose(self, count: int) -> int:
        """Return one of 0 to count - 1, the same on all ranks."""
        return int(torch.randint(count, (), generator=self.shared))

    def noise(self, *shape: int) -> Tensor:
        """Return noise of a shape, float32, on the draws' device."""
        return torch.randn(shape, generator=self.own, device=self.own.device)


class DrawnNoise:
    """A take's noise from the draws of training: it is made on their device, and cannot be made a second time.

    Args:
        draws: where it comes from.
        batch: members of the take.
    """

    def __init__(self, draws: Draws, batch: int) -> None:
        self._draws, self._batch = draws, batch

    def draw(self, block: int, steps: int, frames: tuple[int, ...]) -> Tensor:
        """See `NoiseSource.draw`; blocks have to come in order."""
        return self._draws.noise(steps, self._batch, *frames)


class ChunkSource(Protocol):
    """Makes the frames that the losses are computed on."""

    def next_chunk(self, prompts: Prompts, draws: Draws, *, gradient: bool) -> Chunk:
        """Return the next frames.

        Args:
            prompts: to start a take under, if one is started.
            draws: the random choices.
            gradient: whether gradients flow into the generator.
        """
        ...


class FreshRollouts:
    """Every chunk is a short take of its own.

    Args:
        rollout: makes it.
        blocks: its length.
        gradient_frames: only blocks that start within so many last frames have gradients.
    """

    def __init__(self, rollout: Rollout, *, blocks: int = 7, gradient_frames: int = 21) -> None:
        if blocks < 1 or gradient_frames < rollout.config.block_frames:
            raise ConfigError(f"blocks {blocks} must be at least 1, gradient_frames {gradient_frames} at least a block")
        self.rollout, self.blocks = rollout, blocks
        self.gradient_blocks = min(blocks, gradient_frames // rollout.config.block_frames)

    def next_chunk(self, prompts: Prompts, draws: Draws, *, gradient: bool) -> Chunk:
        """See `ChunkSource.next_chunk`."""
        conditioning = prompts.first
        world = self.rollout.open(conditioning, DrawnNoise(draws, len(conditioning.text)))
        latents = self.rollout.extend(
            world,
            blocks=self.blocks,
            exit_step=self.rollout.draw_exit(draws.choose),
            gradient_blocks=self.gradient_blocks if gradient else 0,
        )
        mask = None
        if self.gradient_blocks < self.blocks:
            mask = torch.zeros(latents.shape[:2], dtype=torch.bool, device=latents.device)
            mask[:, -self.gradient_blocks * self.rollout.config.block_frames :] = True
        shown = conditioning.between(0, latents.shape[1])
        return Chunk(first_frame=0, latents=latents, window=latents, mask=mask, conditioning=shown)


class Distillation:
    """The two losses of distribution matching on a generator's own frames.

    Args:
        source: where the frames come from.
        matching: the generator's loss, with both scores.
        levels: noise levels at which frames are judged.
    """

    def __init__(self, source: ChunkSource, matching: DistributionMatching, levels: NoiseLevels) -> None:
        self.source, self.matching, self.levels = source, matching, levels

    def generator_loss(self, prompts: Prompts, draws: Draws) -> Tensor:
        """Return the generator's loss on the next chunk, a scalar in fp64."""
        chunk = self.source.next_chunk(prompts, draws, gradient=True)
        noise, t = self._noise(chunk, draws)
        return self.matching.loss(chunk.window, noise, t, chunk.conditioning, chunk.mask)

    def critic_loss(self, prompts: Prompts, draws: Draws) -> Tensor:
        """Return the fake score's loss on the next chunk, a scalar."""
        chunk = self.source.next_chunk(prompts, draws, gradient=False)
        noise, t = self._noise(chunk, draws)
        matching = self.matching
        return critic_loss(matching.fake, matching.schedule, chunk.window, noise, t, chunk.conditioning, chunk.mask)

    def _noise(self, chunk: Chunk, draws: Draws) -> tuple[Tensor, Tensor]:
        t = self.levels.draw(len(chunk.window), draws.own).to(chunk.window.device)
        return draws.noise(*chunk.window.shape).to(chunk.window), t
