"""The world model's verbs: open, cue, steer, step, settle, catch_up, snapshot, restore, close.

    generator = Generator(transformer, decoder, text_encoder, preset("diorama"))
    world = generator.open(seed=7, prompt="a fox in the snow")
    block = generator.step(world)              # block.frames: [1, 4, 192, 320, 3] uint8
    generator.settle(world)                    # when the frames are on their way; otherwise the next verb does it
    generator.cue(world, "night falls")        # from the next block on
    generator.cue(world, "it rains", late=True)  # too, but the recache comes after that block (`catch_up`)
    generator.steer(world, (1.0, 0.0))         # so is this, for a model with two axes
    saved = generator.snapshot(world)
    generator.close(world)

Worlds share the weights and nothing else: each has its own cache, prompt and random stream.
"""

import logging
import time
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from longtake.model.backend import Backend
from longtake.model.cache.base import CacheBlock
from longtake.model.config import GeneratorConfig
from longtake.model.errors import ConfigError, ShapeError, SnapshotError, WorldError
from longtake.model.execution.base import Actions
from longtake.model.execution.building import build_executor
from longtake.model.execution.cuda_graphs import cuda_capture
from longtake.model.generation import settling
from longtake.model.generation.block import Block
from longtake.model.generation.caches import WorldCaches
from longtake.model.generation.decoding import Decoding
from longtake.model.generation.looking_back import stands_before
from longtake.model.generation.noise import NoiseSource, SeededNoise
from longtake.model.generation.prompts import Prompts
from longtake.model.generation.recache import live_lengths, rebuild, rewrite
from longtake.model.generation.sampler import Sampler
from longtake.model.generation.schedule import Schedule, clean
from longtake.model.generation.snapshot import Exact, Snapshot
from longtake.model.generation.timing import Stopwatch
from longtake.model.generation.world import Decoder, Prompt, TextEncoder, Unsettled, World
from longtake.model.network.layers import PromptKV
from longtake.model.network.transformer import Transformer
from longtake.model.ops.attention.registry import ATTENTIONS
from longtake.model.ops.convolution import has_packed_convolution

log = logging.getLogger(__name__)

Trace = Callable[[str, Tensor, Tensor, Tensor], None]
"""Called after every sampler step with its name ("s0", ...), xt, flow and x0, each [B, F, C, h, w]."""


class Generator:
    """A causal video generator.

    Args:
        transformer: with its final weights; the generator takes it over (moves it, freezes it, replaces its linears).
        decoder: latents to pictures, or None to make latents only.
        text_encoder: prompts to tokens, or None if only embeddings are given.
        config: how to drive the transformer.
        backend: how to compute; by default what `Backend.chosen` takes for fp32 on the CPU.
        clock: seconds, for the timings.

    Raises:
        ConfigError: the transformer was built with other sizes.
    """

    def __init__(
        self,
        transformer: Transformer,
        decoder: Decoder | None,
        text_encoder: TextEncoder | None,
        config: GeneratorConfig,
        backend: Backend | None = None,
        *,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        if transformer.config != config.transformer:
            raise ConfigError(f"the transformer is {transformer.config}, the config says {config.transformer}")
        if backend is None:
            backend = Backend.chosen("cpu", torch.float32, block_tokens=config.block_tokens)
        self.config, self.backend = config, backend
        self.device, self.dtype = backend.device, backend.dtype
        self.decoder = decoder
        self.transformer = transformer.to(self.device, self.dtype).eval().requires_grad_(False)
        if self.transformer.motion_head is not None and has_packed_convolution(self.device, self.dtype):
            self.transformer.motion_head.pack(config.transformer.latent_shape[1:])
        attention = ATTENTIONS.make(backend.attention, backend.target)
        self._decoding: Decoding | None = None
        if decoder is not None:
            # It runs beside the transformer, so its recordings need working memory of their own.
            capture = cuda_capture() if backend.graphs else None
            self._decoding = Decoding(decoder, self.device, overlap=backend.overlap, capture=capture)
        # Draw the next noise while the GPU is busy; on the CPU that would gain nothing.
        self._draws_ahead = self.device.type == "cuda"
        self._clock = clock
        schedule = Schedule(config.shift)
        self.timesteps = schedule.warp(config.timesteps)
        self._sigmas = [float(sigma) for sigma in schedule.sigma(torch.tensor(self.timesteps))]
        self._sampler = Sampler(config.sampler, self._sigmas)
        self.executor, self.backend = build_executor(
            self.transformer, backend, attention, self.timesteps, live_lengths(config)
        )
        self.caches = WorldCaches(config, self.backend, attention, self.executor, clock)
        self.prompts = Prompts(text_encoder, config.transformer.text_tokens)

    # Worlds

    def open(
        self,
        *,
        seed: int | Sequence[int],
        prompt: str | Sequence[str] | None = None,
        embedding: Tensor | None = None,
        noise: NoiseSource | None = None,
        actions: Actions = (),
    ) -> World:
        """Start a take.

        Args:
            seed: of the world's random stream; several seeds make a batch.
            prompt: what to show, one for all or one for each member of the batch.
            embedding: the prompt's tokens instead of a text, [1 or B, <= text_tokens, text_dim].
            noise: a random stream instead of the seeds', whose number is then only the batch's size.
            actions: as in `steer`.
        """
        self._check_actions(actions)
        seeds = (seed,) if isinstance(seed, int) else tuple(seed)
        stopwatch = Stopwatch(self.device, self._clock)
        with torch.inference_mode():
            with stopwatch.region("text"):
                chosen = self.prompts.of_batch(len(seeds), prompt, embedding)
                prompt_kv = self._prompt_kv(chosen)
            world = self._new_world(noise or SeededNoise(seeds), chosen, prompt_kv, stopwatch)
            world.decoder_state = self._decoding.open(world.batch) if self._decoding else None
        world.actions = actions
        return world

    def steer(self, world: World, actions: Actions) -> None:
        """Make the next blocks under actions: a value for each axis of the model; empty puts all at rest.

        It costs no recache: what is in the cache stays under the actions that it was made under.

        Raises:
            ShapeError: the model has another number of axes.
        """
        self.catch_up(world)
        self._check_actions(actions)
        world.actions = actions

    @torch.inference_mode()
    def cue(
        self,
        world: World,
        prompt: str | Sequence[str] | None = None,
        *,
        embedding: Tensor | None = None,
        late: bool = False,
    ) -> None:
        """Change the prompt from the next block on, and recache.

        Args:
            world: an open world.
            prompt: as in `open`.
            embedding: as in `open`.
            late: recache after the next block instead of now; the block sees the new prompt through cross-attention.
        """
        self._check(world)
        with world.stopwatch.region("text"):
            # First, so that a prompt that is refused changes nothing.
            chosen = self.prompts.of_batch(world.batch, prompt, embedding)
            prompt_kv = self._prompt_kv(chosen)
        if late:
            settling.catch_up(world, self.config)
        else:
            # The recache takes the place of one that is owed to a late cue, too.
            settling.settle(world, self.config, recached=True)
        world.prompt, world.prompt_kv = chosen, prompt_kv
        world.late_block = world.block if late else None
        if not late:
            settling.rebuild_window(world, self.config)

    @torch.inference_mode()
    def step(self, world: World, trace: Trace | None = None) -> Block:
        """Make the world's next block. Its clean pass is left to `settle`, so that the frames need not wait for it.

        Args:
            world: an open world.
            trace: called after every sampler step (parity tests).
        """
        self.catch_up(world)
        first_frame = world.cache.end_frame
        with world.stopwatch.region("denoise"):
            block = world.cache.begin((self.config.block_frames,))
            latents = self._denoise(world, block, trace)
        world.unsettled = Unsettled(block, first_frame, latents)
        # The previous block was decoded while this one was denoised.
        self._count_frames(world)
        decode_watch = Stopwatch(self.device, self._clock)
        world.pending = self._decoding.start(latents, world.decoder_state, decode_watch) if self._decoding else None
        overlaps = self._decoding is not None and self._decoding.overlaps
        made = Block(
            index=world.block,
            first_frame=world.next_tick,
            latents=latents,
            pending=world.pending,
            stopwatch=world.stopwatch,
            decode_stopwatch=decode_watch,
            overlaps=overlaps,
            made=self._now(),
        )
        # The block is read on another thread while the world goes on, so it keeps its stopwatch.
        world.stopwatch = Stopwatch(self.device, self._clock)
        world.block += 1
        if self._draws_ahead and isinstance(world.noise, SeededNoise):
            world.next_noise = self._draw(world)
        if not overlaps:
            self._count_frames(world)
            _ = made.timings_ms
        return made

    @torch.inference_mode()
    def settle(self, world: World) -> None:
        """Run the last block's clean pass, which writes it into the cache, if that has not been done.

        Every verb that needs the cache does so first. Called between two steps it changes no byte of what is made.
        """
        self._check(world)
        settling.settle(world, self.config)

    @torch.inference_mode()
    def catch_up(self, world: World) -> None:
        """Settle the last block, and recache if it was the first one of a late cue. Every verb does so first."""
        self._check(world)
        settling.catch_up(world, self.config)

    @torch.inference_mode()
    def snapshot(self, world: World, exact: bool = False) -> Snapshot:
        """Save a world: compact, or exact (with cache and decoder state, so that it goes on bit for bit).

        Raises:
            WorldError: a late cue waits for its block, which has to be made first.
        """
        self.catch_up(world)
        if world.late_block is not None:
            raise WorldError("a late cue waits for its block; make the block before saving the world")
        self._count_frames(world)
        held = None
        if exact:
            decoder_state = self._decoding.save(world.decoder_state) if self._decoding else None
            held = Exact(cache=world.cache.save(), decoder_state=decoder_state)
        return Snapshot.of(world, self.config, held)

    @torch.inference_mode()
    def restore(self, snapshot: Snapshot) -> World:
        """Return a new world that goes on from a snapshot.

        A compact one is rebuilt by recache, and the decoder's memory by decoding the window's latents again.

        Raises:
            SnapshotError: it was made with another configuration.
        """
        if snapshot.config != self.config:
            raise SnapshotError("the snapshot was made by a generator with another configuration")
        stopwatch = Stopwatch(self.device, self._clock)
        with stopwatch.region("text"):
            prompt_kv = self._prompt_kv(snapshot.prompt)
        world = self._new_world(snapshot.noise, snapshot.prompt, prompt_kv, stopwatch)
        world.block, world.next_tick, world.groups = snapshot.block, snapshot.next_tick, snapshot.groups
        world.actions = snapshot.actions
        world.past = [w._replace(latents=w.latents.to(self.device)) for w in snapshot.past]
        world.sink = [w._replace(latents=w.latents.to(self.device)) for w in snapshot.sink]
        if snapshot.exact is not None:
            world.cache.load(snapshot.exact.cache)
            packed = snapshot.exact.decoder_state
            if self._decoding is not None:
                if packed is None:
                    raise SnapshotError("the snapshot was made without a decoder; save it again, or restore it compact")
                world.decoder_state = self._decoding.load(packed, world.batch)
            return world
        with world.stopwatch.region("recache"):
            world.cache.restart(snapshot.first_frame)
            rebuild(world, world.executor, self.config, snapshot.end_frame, self._prompt_kv)
        with world.stopwatch.region("decode"):
            if self._decoding is not None:
                # The memory as far as the window's latents determine it.
                world.decoder_state = self._decoding.open(world.batch)
                self._decoding.see([written.latents[:, None] for written in world.past], world.decoder_state)
        return world

    def close(self, world: World) -> None:
        """Forget a world and free its memory; closing twice is no error."""
        if not world.closed:
            world.closed = True
            # Frames that are still decoding belong to their block.
            world.pending = world.unsettled = None
            world.past.clear()
            world.sink.clear()
            self.caches.close(world.cache, world.executor)
            del world.cache, world.executor, world.prompt_kv, world.decoder_state

    @torch.inference_mode()
    def warm_up(self, progress: Callable[[int, int], None] | None = None) -> None:
        """Compile for the lengths that a live world meets, and record CUDA graphs, with worlds that are thrown away.

        There is nothing to do unless the executor compiles or graphs are replayed: a world then opens in no time.

        Args:
            progress: called with how many lengths are compiled and how many there are; a line is logged too.
        """
        lengths = self.executor.warm_up_frames
        sizes = self.config.transformer
        embedding = torch.zeros(1, sizes.text_tokens, sizes.text_dim)
        if self.caches.capture is not None:
            self.close(self.open(seed=0, embedding=embedding))
            if self._decoding is not None:
                shape = (1, self.config.block_frames, *sizes.latent_shape)
                self._decoding.warm_up(torch.zeros(shape, device=self.device, dtype=self.dtype))
                self.caches.measure()
        for done, frames in enumerate(lengths, start=1):
            begun = self._clock()
            world = self.open(seed=0, embedding=embedding)
            latents = torch.zeros(1, frames, *sizes.latent_shape, device=self.device)
            rewrite(world, world.executor, latents, (frames,), world.prompt_kv)
            self.close(world)
            took_s = self._clock() - begun
            log.info("compiled for %d latent frames, %d of %d, in %.0f s", frames, done, len(lengths), took_s)
            if progress is not None:
                progress(done, len(lengths))

    def encode(self, prompt: str) -> Tensor:
        """Return a prompt's tokens [1, text_tokens, text_dim], if possible from the kept ones.

        Call it before `open` or `cue` to keep the text encoder off the generation path.
        """
        return self.prompts.encode(prompt)

    # Parts of the verbs

    def _new_world(
        self, noise: NoiseSource, prompt: Prompt, prompt_kv: Sequence[PromptKV], stopwatch: Stopwatch
    ) -> World:
        batch = prompt.embedding.shape[0]
        cache, executor = self.caches.open(batch, prompt_kv)
        return World(
            noise=noise,
            batch=batch,
            prompt=prompt,
            prompt_kv=prompt_kv,
            cache=cache,
            executor=executor,
            stopwatch=stopwatch,
        )

    def _check(self, world: World) -> None:
        if world.closed:
            raise WorldError("the world is closed")

    def _check_actions(self, actions: Actions) -> None:
        axes = self.config.transformer.actions
        if len(actions) not in (0, axes):
            raise ShapeError(f"{len(actions)} actions for a model with {axes} axes")

    def _prompt_kv(self, prompt: Prompt) -> list[PromptKV]:
        return self.executor.prompt_kv(self.transformer.embed_text(prompt.embedding.to(self.device)))

    def _denoise(self, world: World, block: CacheBlock, trace: Trace | None) -> Tensor:
        noise, world.next_noise = world.next_noise, None
        if noise is None:
            noise = self._draw(world)
        xt = x0 = noise[0]
        sampler = self._sampler.begin()
        move = self._motion(world)
        for index, sigma in enumerate(self._sigmas):
            if index:
                xt = sampler.advance(index - 1, xt, x0, noise)
            condition = world.executor.condition(index, (world.actions,))
            flow = move(world.executor.flow(block, xt, index, world.prompt_kv, condition), xt, index)
            x0 = clean(xt, flow, sigma)
            if trace is not None:
                trace(f"s{index}", xt, flow, x0)
        return x0.to(self.dtype)

    def _motion(self, world: World) -> Callable[[Tensor, Tensor, int], Tensor]:
        """Return what the motion head makes of a step's flow: called with it, what it is the flow of, and the step."""
        sizes = self.config.transformer
        if not sizes.motion_width:
            return lambda flow, xt, step: flow
        before = stands_before(world, world.batch, sizes, self.device, self.dtype)
        # Copied to the device like `known`: tiny, once for each block.
        told = world.actions or (0.0,) * sizes.actions
        actions = torch.tensor(told, dtype=self.dtype).to(self.device).expand(world.batch, 1, -1) if told else None
        foretold = self.transformer.foretell(actions, before)
        return lambda flow, xt, step: self.transformer.move(flow, xt, self.timesteps[step], actions, before, foretold)

    def _now(self) -> torch.cuda.Event | None:
        """Return an event after everything that the device has been given so far; None on a CPU."""
        if self.device.type != "cuda":
            return None
        event = torch.cuda.Event()
        event.record()
        return event

    def _draw(self, world: World) -> Tensor:
        """Return the next block's noise, [draws, B, F, C, h, w]."""
        shape = (self.config.block_frames, *self.config.transformer.latent_shape)
        noise = world.noise.draw(world.block, self.config.noise_draws, shape)
        # From pinned memory; otherwise the host would wait for the device.
        pinned = noise.pin_memory() if self.device.type == "cuda" else noise
        return pinned.to(self.device, non_blocking=True)

    def _count_frames(self, world: World) -> None:
        """Count the frames of the block that is decoding; if a thread decodes, wait for them."""
        pending, world.pending = world.pending, None
        if pending is not None:
            world.next_tick += pending.count()
