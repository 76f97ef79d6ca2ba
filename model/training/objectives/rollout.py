"""Rollouts: a generator's own take, made as at play time, with gradients in one step of each block.

    rollout = Rollout(transformer, config)
    world = rollout.open(conditioning, noise)
    latents = rollout.extend(world, blocks=7, exit_step=2)      # gradients flow into the transformer
    rollout.switch(world, other)                                # recache, as in inference

Every block of a call leaves the sampler at one step, drawn by the caller: the steps before it run without gradients,
it runs with them, and its clean latents are the block, which later blocks see through the cache. What is in the cache
is constant, so no gradient flows from one block into another.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from longtake.model.cache.base import CacheBlock
from longtake.model.cache.functional import FunctionalBlock, FunctionalCache
from longtake.model.config import GeneratorConfig
from longtake.model.errors import ConfigError
from longtake.model.execution.base import CLEAN, CLEAN_TIMESTEP, FrameActions
from longtake.model.generation.looking_back import stands_before
from longtake.model.generation.noise import NoiseSource
from longtake.model.generation.recache import recache
from longtake.model.generation.sampler import Sampler
from longtake.model.generation.schedule import Schedule, add_noise, clean
from longtake.model.generation.world import CachedWindow, Prompt
from longtake.model.network.layers import PromptKV
from longtake.model.network.motion_head import Before
from longtake.model.network.rope import Rope
from longtake.model.network.transformer import Condition, Transformer
from longtake.model.ops.attention import Attention, sdpa
from longtake.model.training.objectives.checkpointed import checkpointed
from longtake.model.training.objectives.reference import CarriedHistory, reference_recache
from longtake.model.training.objectives.scores import Conditioning

History = Literal["detached", "carried"]
Recache = Literal["inference", "reference"]


@dataclass(frozen=True, kw_only=True)
class RolloutConfig:
    """How a rollout differs from inference. By default it does not; the rest are the public reference's mistakes."""

    history: History = "detached"
    """detached: keys and values in the cache are constants. carried: later blocks send gradients into those that
    earlier blocks had at their exit step."""
    context_noise: bool = False
    """Whether the clean pass sees latents with the schedule's smallest noise, which inference does not add."""
    recache: Recache = "inference"
    """inference: as the generator's config says. reference: the training code's, which agrees with no inference."""

    def __post_init__(self) -> None:
        if self.history not in ("detached", "carried"):
            raise ConfigError(f"history must be detached or carried, not {self.history!r}")
        if self.recache not in ("inference", "reference"):
            raise ConfigError(f"recache must be inference or reference, not {self.recache!r}")


class RolloutExecutor:
    """Runs a world's passes with gradients. Nothing is computed beforehand because weights move.

    Args:
        transformer: the network that learns.
        timesteps: of the sampler, 0 to 1000.
        checkpointing: compute each layer again in the backward pass instead of keeping what it computed.

    Attributes:
        conditioning: what the world is made under.
        before: what stands before the block in hand; None for a network without a motion head.
    """

    warm_up_frames: Sequence[int] = ()
    slots_are_data = False

    def __init__(self, transformer: Transformer, timesteps: Sequence[float], *, checkpointing: bool = False) -> None:
        self._transformer, self._timesteps = transformer, tuple(timesteps)
        self._layers = checkpointed(transformer, checkpointing)
        self.conditioning: Conditioning | None = None
        self.before: Before | None = None

    def prompt_kv(self, text: Tensor) -> list[PromptKV]:
        """See `Executor`."""
        keys_values: list[PromptKV] = self._transformer.prompt_kv(text)
        return keys_values

    def condition(self, step: int, actions: FrameActions = ()) -> Condition:
        """Return an empty condition: every pass computes its own from the rollout's conditioning."""
        return Condition(torch.empty(0), ())

    def flow(
        self, block: CacheBlock, latents: Tensor, step: int, prompt_kv: Sequence[PromptKV], condition: Condition
    ) -> Tensor:
        """See `Executor`; the condition is not used."""
        return self._pass(block, latents, self._timesteps[step], prompt_kv, self.before)

    def write(self, block: CacheBlock, latents: Tensor, prompt_kv: Sequence[PromptKV], condition: Condition) -> None:
        """See `Executor`; what is written is constant, and the condition is not used."""
        with torch.no_grad():
            self._pass(block, latents, CLEAN_TIMESTEP, prompt_kv)

    def _pass(
        self,
        block: CacheBlock,
        latents: Tensor,
        t: float,
        prompt_kv: Sequence[PromptKV],
        before: Before | None = None,
    ) -> Tensor:
        assert self.conditioning is not None, "set when a world is opened"
        layout = block.layout
        actions = self.conditioning.between(layout.first_frame, layout.first_frame + layout.frames).actions
        timesteps = torch.full(latents.shape[:2], t, device=latents.device)
        flow: Tensor = self._transformer(
            latents, timesteps, prompt_kv, block.attend, actions=actions, before=before, layers=self._layers
        )
        return flow


@dataclass(kw_only=True, eq=False)
class RolloutWorld(CachedWindow[FunctionalCache]):
    """A take that is rolled out.

    Attributes, beside those of its window:
        noise: its own random stream.
        executor: runs its passes.
        block: index of the next block.
        carried: what the reference's mistake keeps of earlier blocks; None without it.
    """

    noise: NoiseSource
    executor: RolloutExecutor
    block: int = 0
    carried: CarriedHistory | None = None


class Rollout:
    """Makes takes that gradients can be taken of.

    Args:
        transformer: the network that learns, as it is built (neither fused nor with replaced maps).
        config: window, sink, block, sampler and recache of inference.
        options: how the rollout differs from it.
        attention: computes self-attention; it must have gradients.
        checkpointing: compute layers again in the backward pass, which saves most of the memory.
        dtype: of the cache; that of the parameters by default. Spread parameters are kept in another type than they
            compute in.
    """

    def __init__(
        self,
        transformer: Transformer,
        config: GeneratorConfig,
        options: RolloutConfig | None = None,
        *,
        attention: Attention = sdpa,
        checkpointing: bool = False,
        dtype: torch.dtype | None = None,
    ) -> None:
        if transformer.config != config.transformer:
            raise ConfigError(f"the transformer is {transformer.config}, the config says {config.transformer}")
        self.transformer, self.config, self.options = transformer, config, options or RolloutConfig()
        self.schedule = Schedule(config.shift, self._device)
        self.timesteps = self.schedule.warp(config.timesteps)
        self._sigmas = self.schedule.sigma(torch.tensor(self.timesteps)).tolist()
        self._sampler = Sampler(config.sampler, self._sigmas)
        self._attention, self._checkpointing = attention, checkpointing
        self._dtype = dtype or transformer.dtype
        self._rope = Rope(config.transformer.head_dim, config.transformer.grid, self._device)

    @property
    def _device(self) -> torch.device:
        return self.transformer.patch_embedding.weight.device

    @property
    def steps(self) -> int:
        """Steps of the sampler: the exit step is one of them."""
        return len(self.timesteps)

    @property
    def exits(self) -> range:
        """Exit steps to draw from: all, or the last if the steps were distilled to lead just to the next level."""
        return range(self.steps)[-1:] if self.config.sampler == "euler" else range(self.steps)

    def draw_exit(self, choose: Callable[[int], int]) -> int:
        """Return an exit step; `choose` returns one of 0 to a number - 1."""
        return self.exits[choose(len(self.exits))]

    def open(self, conditioning: Conditioning, noise: NoiseSource) -> RolloutWorld:
        """Start a take.

        Args:
            conditioning: what it is made under; actions, if any, for all the frames it will have.
            noise: its random stream, of as many members as the conditioning.
        """
        prompt = self._prompt(conditioning)
        executor = RolloutExecutor(self.transformer, self.timesteps, checkpointing=self._checkpointing)
        executor.conditioning = conditioning
        return RolloutWorld(
            noise=noise,
            prompt=prompt,
            prompt_kv=self._constant_kv(prompt),
            cache=FunctionalCache(self.config, rope=self._rope, attention=self._attention, dtype=self._dtype),
            executor=executor,
        )

    def extend(self, world: RolloutWorld, *, blocks: int, exit_step: int, gradient_blocks: int | None = None) -> Tensor:
        """Make a world's next blocks.

        Args:
            world: from `open`.
            blocks: how many.
            exit_step: the step of the sampler that each block leaves it at.
            gradient_blocks: how many of them, the last, have gradients; all by default, none at 0.

        Returns:
            Their clean latents, [B, blocks * block_frames, C, h, w].
        """
        if not 0 <= exit_step < self.steps:
            raise ConfigError(f"exit_step must be one of 0 to {self.steps - 1}, not {exit_step}")
        constant = 0 if gradient_blocks is None else max(0, blocks - gradient_blocks)
        with torch.set_grad_enabled(constant < blocks):
            prompt_kv = self._prompt_kv(world.prompt)
        # Steps without gradients share the same keys and values. Computed for each call, since weights move meanwhile.
        world.prompt_kv = [(k.detach(), v.detach()) for k, v in prompt_kv]
        carries = self.options.history == "carried"
        world.carried = CarriedHistory(exit_step, self.config.block_frames) if carries else None
        made = [
            self._block(world, exit_step, world.prompt_kv if index < constant else prompt_kv, index >= constant)
            for index in range(blocks)
        ]
        return torch.cat(made, dim=1)

    @torch.no_grad()
    def switch(self, world: RolloutWorld, conditioning: Conditioning) -> None:
        """Change what the next blocks are made under, and recache."""
        world.prompt, world.executor.conditioning = self._prompt(conditioning), conditioning
        world.prompt_kv = self._constant_kv(world.prompt)
        if self.options.recache == "reference":
            reference_recache(world, self.transformer, self.config)
        else:
            recache(world, world.executor, self.config)

    def teach(self, world: RolloutWorld, xt: Tensor, step: int, truth: Tensor) -> Tensor:
        """Denoise given latents as the next block, once, with gradients; the cache gets what they should have become.

        Args:
            world: from `open`.
            xt: noisy latents, [B, block_frames, C, h, w].
            step: of the sampler, at whose noise level they are.
            truth: the clean latents that later blocks are to see, like xt.

        Returns:
            The clean latents that the network sees in them.
        """
        block = self._begin(world)
        prompt_kv = self._prompt_kv(world.prompt)
        x0 = self._clean(world, block, xt, step, prompt_kv)
        self._commit(world, block, truth, truth)
        return x0

    @torch.no_grad()
    def solve(self, world: RolloutWorld, kept: Sequence[int]) -> Tensor:
        """Make the next block without fresh noise: Euler's steps along the flow, down to clean latents.

        Args:
            world: from `open`.
            kept: steps of the sampler, rising.

        Returns:
            The latents at the kept steps and the clean end: [len(kept) + 1, B, block_frames, C, h, w].
        """
        block = self._begin(world)
        shape = (self.config.block_frames, *self.config.transformer.latent_shape)
        x = world.noise.draw(world.block, 1, shape)[0].to(self._device)
        found = []
        for step, (sigma, after) in enumerate(zip(self._sigmas, [*self._sigmas[1:], 0.0], strict=True)):
            if step in kept:
                found.append(x)
            x = x + (after - sigma) * world.executor.flow(
                block, x, step, world.prompt_kv, world.executor.condition(step)
            )
        self._commit(world, block, x, x)
        return torch.stack([*found, x])

    def _block(self, world: RolloutWorld, exit_step: int, prompt_kv: Sequence[PromptKV], gradient: bool) -> Tensor:
        """Make the next block: [B, F, C, h, w], constant in the world's memory and cache."""
        frames = self.config.block_frames
        if world.carried is not None:
            world.carried.attach(world.cache)
        block = self._begin(world)
        draws = exit_step + 1 + self.options.context_noise
        noise = world.noise.draw(world.block, draws, (frames, *self.config.transformer.latent_shape))
        noise = noise.to(self._device)
        xt = noise[0]
        sampler = self._sampler.begin()
        with torch.no_grad():
            for step in range(exit_step):
                x0 = self._clean(world, block, xt, step, world.prompt_kv)
                xt = sampler.advance(step, xt, x0, noise)
        with torch.set_grad_enabled(gradient):
            x0 = self._clean(world, block, xt, exit_step, prompt_kv)
        if world.carried is not None:
            world.carried.record(block)
        latents = x0.detach()
        self._commit(world, block, latents, self._context(latents, noise[-1]))
        return x0

    def _begin(self, world: RolloutWorld) -> FunctionalBlock:
        """Return the next block's place in the cache; from here on its passes know what stands before it."""
        sizes = self.config.transformer
        if sizes.motion_width:
            conditioning, end = world.executor.conditioning, world.cache.end_frame
            assert conditioning is not None, "set when a world is opened"
            batch = len(conditioning.text)
            before = stands_before(world, batch, sizes, self._device, torch.float32)
            if end and conditioning.actions is not None:
                before = before._replace(actions=conditioning.between(end - 1, end).actions)
            world.executor.before = before
        return world.cache.begin((self.config.block_frames,))

    def _clean(
        self, world: RolloutWorld, block: CacheBlock, xt: Tensor, step: int, prompt_kv: Sequence[PromptKV]
    ) -> Tensor:
        """Return the clean latents that the network sees in noisy ones at a step."""
        flow = world.executor.flow(block, xt, step, prompt_kv, world.executor.condition(step))
        return clean(xt, flow, self._sigmas[step])

    def _commit(self, world: RolloutWorld, block: CacheBlock, latents: Tensor, seen: Tensor) -> None:
        """Make latents the next block: `seen` is what the clean pass writes, and a recache later sees the latents."""
        first_frame = world.cache.end_frame
        world.executor.write(block, seen, world.prompt_kv, world.executor.condition(CLEAN))
        world.cache.commit(block)
        world.record(first_frame, latents, (self.config.block_frames,), self.config.window_frames)
        world.block += 1

    def _context(self, latents: Tensor, noise: Tensor) -> Tensor:
        """Return what the clean pass sees of latents."""
        if not self.options.context_noise:
            return latents
        smallest = float(self.schedule.sigma(torch.tensor(CLEAN_TIMESTEP)))
        return add_noise(latents, noise, smallest)

    def _prompt(self, conditioning: Conditioning) -> Prompt:
        text = conditioning.text.to(self._device)
        missing = self.config.transformer.text_tokens - text.shape[1]
        return Prompt(texts=None, embedding=F.pad(text, (0, 0, 0, max(0, missing))))

    def _prompt_kv(self, prompt: Prompt) -> list[PromptKV]:
        return self.transformer.prompt_kv(self.transformer.embed_text(prompt.embedding))

    @torch.no_grad()
    def _constant_kv(self, prompt: Prompt) -> list[PromptKV]:
        return self._prompt_kv(prompt)
