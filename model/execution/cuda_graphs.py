"""CUDA graphs: a forward's hundreds of launches recorded once and replayed as one.

A graph repeats the same kernels at the same addresses. So a world has its own, for each place in the ring that a block
can lie in once the window is full, and for each step of the sampler and the clean pass; what changes from block to
block (latents, rotations, the prompt's keys and values) is copied to where they read it. Blocks before that, and
recaches, run as ever. They are recorded when the world is opened: seconds that no frame waits for.

    graphs = WorldGraphs(denoiser, cache, config, prompt_kv, cuda_capture())
    graphs.record()
    flow = graphs.flow(block, latents, step, prompt_kv)      # as `Denoiser.flow`; `write` as `Denoiser.write`
"""

import logging
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from longtake.model.cache.ring import CacheBlock, RingCache
from longtake.model.config import GeneratorConfig
from longtake.model.generation.denoiser import Denoiser
from longtake.model.network.layers import PromptKV

log = logging.getLogger(__name__)

Run = Callable[[], Tensor | None]
Capture = Callable[[Run], Run]
"""Record what a function does; returns what repeats it and returns the same tensor, with new contents."""

CLEAN = -1
"""the clean pass, among the steps of the sampler"""


def missing_graphs(device: torch.device) -> str | None:
    """Return why there are no CUDA graphs on a device, or None where there are."""
    return None if device.type == "cuda" else f"CUDA graphs need a CUDA device, not {device.type}"


def cuda_capture() -> Capture:
    """Return what records on the current CUDA device; all recordings share their working memory."""
    pool = torch.cuda.graph_pool_handle()

    def capture(run: Run) -> Run:
        # Once before, on another stream: libraries set themselves up in their first call, which cannot be recorded.
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            run()
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        # Other threads, such as the one that encodes prompts, may go on using the device meanwhile.
        with torch.cuda.graph(graph, pool=pool, capture_error_mode="thread_local"):
            out = run()

        def replay() -> Tensor | None:
            graph.replay()
            return out

        return replay

    return capture


class WorldGraphs:
    """One world's forwards, replayed where they were recorded; the same verbs as `Denoiser`.

    Args:
        denoiser: what is recorded.
        cache: the world's, empty.
        config: of the generator.
        prompt_kv: a prompt's keys and values per layer, for their sizes.
        capture: what records (`cuda_capture`).
    """

    def __init__(
        self,
        denoiser: Denoiser,
        cache: RingCache,
        config: GeneratorConfig,
        prompt_kv: Sequence[PromptKV],
        capture: Capture,
    ) -> None:
        self._denoiser, self._cache, self._config = denoiser, cache, config
        self._capture = capture
        self._prompt: Sequence[PromptKV] = prompt_kv
        self._prompt_kv = [(k.clone(), v.clone()) for k, v in prompt_kv]
        sizes, batch, device = config.transformer, cache.keys.shape[1], cache.keys.device
        shape = (batch, config.block_frames, *sizes.latent_shape)
        # The sampler's latents are fp32 until the last step's are cast.
        self._noisy = torch.zeros(shape, device=device)
        self._clean = torch.zeros(shape, device=device, dtype=prompt_kv[0][0].dtype)
        self._table: Tensor | None = None
        self._replays: dict[tuple[object, int], Run] = {}

    @property
    def recorded(self) -> int:
        """How many forwards are recorded."""
        return len(self._replays)

    def record(self) -> None:
        """Record every forward that a block needs once the window is full, and leave the cache empty."""
        config, cache = self._config, self._cache
        places = config.ring_frames // config.block_frames
        if config.ring_frames % config.block_frames:
            # A block would lie across the ring's end at times, in ever other places.
            log.warning("no CUDA graphs: %d latent frames are no whole blocks", config.ring_frames)
            return
        steps = [*range(len(config.timesteps)), CLEAN]
        for place in range(places):
            cache.restart(0)
            # As if so many frames had been made; what lies in the cache does not matter.
            full = -(-config.window_frames // config.block_frames)
            cache.end_frame = (full + place) * config.block_frames
            block = cache.begin((config.block_frames,))
            for step in steps:
                self._replay(block, step)
            log.info("recorded %d of %d CUDA graphs", (place + 1) * len(steps), places * len(steps))
        cache.restart(0)

    def flow(self, block: CacheBlock, latents: Tensor, step: int, prompt_kv: Sequence[PromptKV]) -> Tensor:
        """See `Denoiser.flow`; the result is good until the same step of another block."""
        if (block.layout_key, step) not in self._replays:
            return self._denoiser.flow(block, latents, step, prompt_kv)
        self._load(block, prompt_kv)
        self._noisy.copy_(latents)
        flow = self._replays[block.layout_key, step]()
        assert flow is not None, "a step has a flow"
        return flow

    def write(self, block: CacheBlock, latents: Tensor, prompt_kv: Sequence[PromptKV]) -> None:
        """See `Denoiser.write`."""
        if (block.layout_key, CLEAN) not in self._replays:
            self._denoiser.write(block, latents, prompt_kv)
            return
        self._load(block, prompt_kv)
        self._clean.copy_(latents)
        self._replays[block.layout_key, CLEAN]()

    def _load(self, block: CacheBlock, prompt_kv: Sequence[PromptKV]) -> None:
        """Bring what changes with the block, or with the prompt, to where the recordings read it."""
        assert self._table is not None, "something is recorded"
        self._table.copy_(block.table)
        if prompt_kv is not self._prompt:
            for kept, new in zip(self._prompt_kv, prompt_kv, strict=True):
                for to, source in zip(kept, new, strict=True):
                    to.copy_(source)
            self._prompt = prompt_kv

    def _replay(self, block: CacheBlock, step: int) -> None:
        if self._table is None:
            self._table = block.table.clone()
        still = block.with_rope(self._table)

        def run() -> Tensor | None:
            if step != CLEAN:
                return self._denoiser.flow(still, self._noisy, step, self._prompt_kv)
            self._denoiser.write(still, self._clean, self._prompt_kv)
            return None

        self._replays[block.layout_key, step] = self._capture(run)
