"""CUDA graphs: a forward's hundreds of launches recorded once and replayed as one.

A graph repeats the same kernels at the same addresses. So each world has its own graphs: one for every place in the
ring where a block can lie once the window is full, for each step of the sampler and the clean pass. What changes from
block to block (latents, rotations, the prompt's keys and values, the modulation of a model with actions) is copied to
where the recordings read it. Earlier
blocks, and recaches, run on the executor that was recorded. Recording happens when a world opens: it takes seconds, and
no frame waits for it.

    graphs = CudaGraphs(executor, cache, config, prompt_kv, cuda_capture())
    graphs.record()
    condition = graphs.condition(step, actions)
    flow = graphs.flow(block, latents, step, prompt_kv, condition)      # it is an `Executor` itself
"""

import logging
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from longtake.model.cache.base import CacheBlock
from longtake.model.cache.ring import RingBlock, RingCache
from longtake.model.choice import Target
from longtake.model.config import GeneratorConfig
from longtake.model.execution.base import CLEAN, Executor, FrameActions
from longtake.model.network.layers import Modulation, PromptKV
from longtake.model.network.transformer import Condition

log = logging.getLogger(__name__)

Run = Callable[[], Tensor | None]
Capture = Callable[[Run], Run]
"""Records what a function does; returns a function that repeats it and returns the same tensor with new contents."""


def missing_graphs(target: Target) -> str | None:
    """Return why a target has no CUDA graphs, or None if it has."""
    return None if target.device.type == "cuda" else f"CUDA graphs need a CUDA device, not {target.device.type}"


def cuda_capture() -> Capture:
    """Return what records on the current CUDA device; all recordings share their working memory."""
    pool = torch.cuda.graph_pool_handle()

    def capture(run: Run) -> Run:
        # Run it first on another stream: libraries set themselves up in their first call, which cannot be recorded.
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            run()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # Other threads, such as the one that encodes prompts, may use the device meanwhile.
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            out = run()

        def replay() -> Tensor | None:
            graph.replay()
            return out

        return replay

    return capture


class CudaGraphs:
    """An executor for one world, which replays the passes that it has recorded of another executor.

    Args:
        executor: what to record, and what runs everything else.
        cache: the world's, empty.
        config: of the generator.
        prompt_kv: a prompt's keys and values per layer, for their sizes.
        capture: what records (`cuda_capture`).
    """

    def __init__(
        self,
        executor: Executor,
        cache: RingCache,
        config: GeneratorConfig,
        prompt_kv: Sequence[PromptKV],
        capture: Capture,
    ) -> None:
        self._executor, self._cache, self._config = executor, cache, config
        self._capture = capture
        self._prompt: Sequence[PromptKV] = prompt_kv
        self._prompt_kv = [(k.clone(), v.clone()) for k, v in prompt_kv]
        sizes, batch, device = config.transformer, cache.keys.shape[1], cache.keys.device
        shape = (batch, config.block_frames, *sizes.latent_shape)
        # The sampler's latents are fp32 until the last step's are cast.
        self._noisy = torch.zeros(shape, device=device)
        self._clean = torch.zeros(shape, device=device, dtype=prompt_kv[0][0].dtype)
        self._table: Tensor | None = None
        steps = [*range(len(config.timesteps)), CLEAN]
        self._loaded = {step: executor.condition(step) for step in steps}
        """the conditions whose values the recordings read now, by step"""
        steered = config.transformer.actions > 0
        self._conditions = {step: copy_of(c) if steered else c for step, c in self._loaded.items()}
        """where they read them; without actions they never change"""
        self._replays: dict[tuple[object, int], Run] = {}

    @property
    def warm_up_frames(self) -> Sequence[int]:
        """See `Executor`."""
        return self._executor.warm_up_frames

    def prompt_kv(self, text: Tensor) -> list[PromptKV]:
        """See `Executor`."""
        return self._executor.prompt_kv(text)

    def condition(self, step: int, actions: FrameActions = ()) -> Condition:
        """See `Executor`."""
        return self._executor.condition(step, actions)

    def record(self) -> None:
        """Record every forward that a block needs once the window is full, and leave the cache empty."""
        config, cache = self._config, self._cache
        places = config.ring_frames // config.block_frames
        if config.ring_frames % config.block_frames:
            # A block would lie across the ring's end at times, at another place each time round.
            log.warning("no CUDA graphs: the ring's %d latent frames are not whole blocks", config.ring_frames)
            return
        steps = [*range(len(config.timesteps)), CLEAN]
        for place in range(places):
            cache.restart(0)
            # As if so many frames had been made; what the cache holds does not matter.
            full = -(-config.window_frames // config.block_frames)
            cache.window.end_frame = (full + place) * config.block_frames
            block = cache.begin((config.block_frames,))
            for step in steps:
                self._record(block, step)
            log.info("recorded %d of %d CUDA graphs", (place + 1) * len(steps), places * len(steps))
        cache.restart(0)

    def flow(
        self, block: CacheBlock, latents: Tensor, step: int, prompt_kv: Sequence[PromptKV], condition: Condition
    ) -> Tensor:
        """See `Executor`; the result is good until the same step of another block."""
        if (block.layout_key, step) not in self._replays:
            return self._executor.flow(block, latents, step, prompt_kv, condition)
        self._load(block, prompt_kv, step, condition)
        self._noisy.copy_(latents)
        flow = self._replays[block.layout_key, step]()
        assert flow is not None, "a step has a flow"
        return flow

    def write(self, block: CacheBlock, latents: Tensor, prompt_kv: Sequence[PromptKV], condition: Condition) -> None:
        """See `Executor`."""
        if (block.layout_key, CLEAN) not in self._replays:
            self._executor.write(block, latents, prompt_kv, condition)
            return
        self._load(block, prompt_kv, CLEAN, condition)
        self._clean.copy_(latents)
        self._replays[block.layout_key, CLEAN]()

    def _load(self, block: CacheBlock, prompt_kv: Sequence[PromptKV], step: int, condition: Condition) -> None:
        """Copy what changes with the block, the prompt or the actions to where the recordings read it."""
        assert self._table is not None, "something is recorded"
        self._table.copy_(block.table)
        if prompt_kv is not self._prompt:
            for kept, new in zip(self._prompt_kv, prompt_kv, strict=True):
                for to, source in zip(kept, new, strict=True):
                    to.copy_(source)
            self._prompt = prompt_kv
        if condition is not self._loaded[step]:
            torch._foreach_copy_(tensors_of(self._conditions[step]), tensors_of(condition))
            self._loaded[step] = condition

    def _record(self, block: RingBlock, step: int) -> None:
        if self._table is None:
            self._table = block.table.clone()
        still = block.with_rope(self._table)

        def run() -> Tensor | None:
            if step != CLEAN:
                return self._executor.flow(still, self._noisy, step, self._prompt_kv, self._conditions[step])
            self._executor.write(still, self._clean, self._prompt_kv, self._conditions[CLEAN])
            return None

        self._replays[block.layout_key, step] = self._capture(run)


def tensors_of(condition: Condition) -> list[Tensor]:
    """Return a condition's tensors in one list."""
    return [condition.e, *(vector for modulation in condition.modulations for vector in modulation)]


def copy_of(condition: Condition) -> Condition:
    """Return a condition with memory of its own."""
    modulations = [Modulation(*(vector.clone() for vector in modulation)) for modulation in condition.modulations]
    return Condition(condition.e.clone(), modulations)
