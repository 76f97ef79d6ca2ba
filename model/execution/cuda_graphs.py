"""CUDA graphs: a pass's hundreds of launches recorded once and replayed as one.

A graph repeats the same kernels at the same addresses, so it belongs to one ring, in which worlds take turns
(`longtake.model.execution.seat`). What changes from block to block (latents, rotations, slots, the prompt's keys and
values, the modulation of a model with actions) is copied to where the recordings read it.

Recorded is what a live world meets all the time: a block's passes once the window is full, for each
place in the ring where a block can lie, and the recaches of a prompt change. An executor that reads the slots as data
(`Executor.slots_are_data`) needs one recording for all places. Everything else runs on the executor that was recorded.

Recording happens once for all worlds, in `Generator.warm_up` or when the first one opens, so no frame waits for it.

    graphs = CudaGraphs(executor, cache, config, prompt_kv, cuda_capture(), rewrites)
    graphs.record()
    cache = graphs.seat.open(new_cache)                                 # of a world
    condition = graphs.condition(step, actions)
    flow = graphs.flow(block, latents, step, prompt_kv, condition)      # it is an `Executor` itself
"""

import logging
from collections.abc import Callable, Hashable, Sequence
from typing import Generic, NamedTuple, TypeVar
from weakref import WeakSet

import torch
from torch import Tensor

from longtake.model.cache.base import CacheBlock
from longtake.model.cache.ring import RingBlock, RingCache
from longtake.model.choice import Target
from longtake.model.config import GeneratorConfig
from longtake.model.execution.base import CLEAN, Executor, FrameActions
from longtake.model.execution.seat import Seat
from longtake.model.network.layers import Modulation, PromptKV
from longtake.model.network.transformer import Condition

log = logging.getLogger(__name__)

Handle = TypeVar("Handle")

Run = Callable[[], Tensor | None]
Capture = Callable[[Run, Hashable], Run]
"""Records what a function does; returns a function that repeats it and returns the same tensor with new contents. The
second argument is equal for functions that launch the same kernels on the same sizes."""


class Rewrite(NamedTuple):
    """A recache that a live world meets: whether the sink stays, and the latent frames of each group."""

    keep_sink: bool
    group_frames: tuple[int, ...]


def missing_graphs(target: Target) -> str | None:
    """Return why a target has no CUDA graphs, or None if it has."""
    return None if target.device.type == "cuda" else f"CUDA graphs need a CUDA device, not {target.device.type}"


class PoolHandles(Generic[Handle]):
    """The memory pool that all recordings share, as long as one of them lives.

    A pool is gone with its last graph, and its handle must not be used again: torch's allocator asserts. So whoever
    records after that gets a new handle.

    Args:
        new: makes a handle.
    """

    def __init__(self, new: Callable[[], Handle]) -> None:
        self._new = new
        self._handle: Handle | None = None
        self._graphs: WeakSet[torch.cuda.CUDAGraph] = WeakSet()

    def handle(self) -> Handle:
        """Return the pool to record into."""
        if self._handle is None or not self._graphs:
            self._handle = self._new()
        return self._handle

    def add(self, graph: torch.cuda.CUDAGraph) -> None:
        """Note that a graph was recorded into the pool."""
        self._graphs.add(graph)


def cuda_capture() -> Capture:
    """Return what records on the current CUDA device; all recordings share their working memory."""
    pools = PoolHandles(torch.cuda.graph_pool_handle)
    known: set[Hashable] = set()

    def capture(run: Run, kind: Hashable) -> Run:
        if kind not in known:
            # Run it first on another stream: kernels are compiled and libraries set themselves up in their first call,
            # which cannot be recorded.
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                run()
            torch.cuda.current_stream().wait_stream(stream)
            known.add(kind)
        graph = torch.cuda.CUDAGraph()
        # Other threads, such as the one that encodes prompts, may use the device meanwhile.
        with torch.cuda.graph(graph, pool=pools.handle(), capture_error_mode="thread_local"):
            out = run()
        pools.add(graph)

        def replay() -> Tensor | None:
            graph.replay()
            return out

        return replay

    return capture


class Inputs(NamedTuple):
    """Where the recordings of so many latent frames read what changes from block to block."""

    noisy: Tensor
    clean: Tensor
    table: Tensor
    slots: Tensor


class CudaGraphs:
    """An executor for worlds that share recordings; it replays the passes that it has recorded of another executor.

    Args:
        executor: what to record, and what runs everything else.
        cache: the ring to record with, which becomes no world's.
        config: of the generator.
        prompt_kv: a prompt's keys and values per layer, for their sizes.
        capture: what records (`cuda_capture`).
        rewrites: the recaches to record.

    Attributes:
        seat: whose frames lie in the ring.
    """

    def __init__(
        self,
        executor: Executor,
        cache: RingCache,
        config: GeneratorConfig,
        prompt_kv: Sequence[PromptKV],
        capture: Capture,
        rewrites: Sequence[Rewrite] = (),
    ) -> None:
        self._executor, self._cache, self._config = executor, cache, config
        self._capture, self._rewrites = capture, rewrites
        self.seat = Seat(cache)
        self._prompt = prompt_kv
        self._prompt_kv = [(k.clone(), v.clone()) for k, v in prompt_kv]
        self._inputs: dict[int, Inputs] = {}
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

    @property
    def slots_are_data(self) -> bool:
        """See `Executor`."""
        return self._executor.slots_are_data

    def prompt_kv(self, text: Tensor) -> list[PromptKV]:
        """See `Executor`."""
        return self._executor.prompt_kv(text)

    def condition(self, step: int, actions: FrameActions = ()) -> Condition:
        """See `Executor`."""
        return self._executor.condition(step, actions)

    def record(self) -> None:
        """Record what a live world meets once the window is full."""
        config, cache = self._config, self._cache
        places = self._places()
        for place in range(places):
            self._fill(place)
            block = cache.begin((config.block_frames,))
            for step in (*range(len(config.timesteps)), CLEAN):
                self._record(block, step)
        for rewrite in self._rewrites if places else ():
            self._fill(0)
            if rewrite.keep_sink:
                cache.keep_sink(cache.end_frame - sum(rewrite.group_frames))
            else:
                cache.restart(cache.end_frame - sum(rewrite.group_frames))
            self._record(cache.begin(rewrite.group_frames), CLEAN)

    def __len__(self) -> int:
        """Return how many passes are recorded."""
        return len(self._replays)

    def flow(
        self, block: CacheBlock, latents: Tensor, step: int, prompt_kv: Sequence[PromptKV], condition: Condition
    ) -> Tensor:
        """See `Executor`; the result is good until the same step of another block."""
        replay = self._replay(block, step, condition)
        if replay is None:
            return self._executor.flow(block, latents, step, prompt_kv, condition)
        self._load(block, prompt_kv, step, condition).noisy.copy_(latents)
        flow = replay()
        assert flow is not None, "a step has a flow"
        return flow

    def write(self, block: CacheBlock, latents: Tensor, prompt_kv: Sequence[PromptKV], condition: Condition) -> None:
        """See `Executor`."""
        replay = self._replay(block, CLEAN, condition)
        if replay is None:
            self._executor.write(block, latents, prompt_kv, condition)
            return
        self._load(block, prompt_kv, CLEAN, condition).clean.copy_(latents)
        replay()

    def _places(self) -> int:
        """Return how many places in the ring need recordings of their own."""
        config = self._config
        if self._executor.slots_are_data:
            return 1
        if config.ring_frames % config.block_frames:
            # A block would lie across the ring's end at times, at another place each time round.
            log.warning("no CUDA graphs: the ring's %d latent frames are not whole blocks", config.ring_frames)
            return 0
        return config.ring_frames // config.block_frames

    def _fill(self, place: int) -> None:
        """Make the cache look as if so many frames had been made; what it holds does not matter."""
        config = self._config
        self._cache.restart(0)
        full = -(-config.window_frames // config.block_frames)
        self._cache.window.end_frame = (full + place) * config.block_frames

    def _key(self, block: RingBlock, step: int) -> tuple[object, int]:
        """Return what two passes have in common that a recording serves both."""
        return (block.size_key if self._executor.slots_are_data else block.layout_key), step

    def _replay(self, block: CacheBlock, step: int, condition: Condition) -> Run | None:
        """Return the recording of a pass, if there is one."""
        if not isinstance(block, RingBlock) or condition.e.shape != self._conditions[step].e.shape:
            # The shapes differ for frames that were steered differently.
            return None
        return self._replays.get(self._key(block, step))

    def _load(self, block: CacheBlock, prompt_kv: Sequence[PromptKV], step: int, condition: Condition) -> Inputs:
        """Bring what changes with the world, the block, the prompt or the actions to where the recordings read it."""
        assert isinstance(block, RingBlock), "a recording was found"
        self.seat.take(block.cache)
        inputs = self._inputs[block.frames]
        inputs.table.copy_(block.table)
        inputs.slots.copy_(block.slots)
        if prompt_kv is not self._prompt:
            torch._foreach_copy_(
                [kept for pair in self._prompt_kv for kept in pair], [new for pair in prompt_kv for new in pair]
            )
            self._prompt = prompt_kv
        if condition is not self._loaded[step]:
            torch._foreach_copy_(tensors_of(self._conditions[step]), tensors_of(condition))
            self._loaded[step] = condition
        return inputs

    def _record(self, block: RingBlock, step: int) -> None:
        if block.frames not in self._inputs:
            self._inputs[block.frames] = self._new_inputs(block)
        inputs = self._inputs[block.frames]
        still = block.with_rope(inputs.table, inputs.slots)

        def run() -> Tensor | None:
            condition = self._conditions[step]
            if step != CLEAN:
                return self._executor.flow(still, inputs.noisy, step, self._prompt_kv, condition)
            self._executor.write(still, inputs.clean, self._prompt_kv, condition)
            return None

        self._replays[self._key(block, step)] = self._capture(
            run, (inputs.noisy.shape, step == CLEAN, block.layout.groups)
        )

    def _new_inputs(self, block: RingBlock) -> Inputs:
        cache = self._cache
        shape = (cache.keys.shape[1], block.frames, *self._config.transformer.latent_shape)
        # The sampler's latents are fp32 until the last step's are cast.
        noisy = torch.zeros(shape, device=cache.keys.device)
        return Inputs(noisy, noisy.to(self._prompt_kv[0][0].dtype), block.table.clone(), block.slots.clone())


def tensors_of(condition: Condition) -> list[Tensor]:
    """Return a condition's tensors in one list."""
    return [condition.e, *(vector for modulation in condition.modulations for vector in modulation)]


def copy_of(condition: Condition) -> Condition:
    """Return a condition with memory of its own."""
    modulations = [Modulation(*(vector.clone() for vector in modulation)) for modulation in condition.modulations]
    return Condition(condition.e.clone(), modulations)
