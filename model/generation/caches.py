"""The caches of a generator's worlds, and what runs their passes: with CUDA graphs, recordings that worlds share.

caches = WorldCaches(config, backend, executor)
cache, runs = caches.open(batch, prompt_kv)      # of a world
caches.close(cache, runs)
"""

import logging
import time
from collections.abc import Callable, Sequence

import torch

from longtake.model.backend import Backend
from longtake.model.cache.base import WorldCache
from longtake.model.cache.registry import CACHES
from longtake.model.cache.ring import RingCache
from longtake.model.config import GeneratorConfig
from longtake.model.errors import BackendError
from longtake.model.execution.base import Executor
from longtake.model.execution.cuda_graphs import Capture, CudaGraphs, Rewrite, cuda_capture
from longtake.model.generation.recache import live_recaches
from longtake.model.network.layers import PromptKV
from longtake.model.network.rope import Rope
from longtake.model.ops.attention import Attention
from longtake.model.room import pool_bytes

log = logging.getLogger(__name__)


class WorldCaches:
    """See the module.

    Args:
        config: of the generator.
        backend: how it computes.
        attention: what computes self-attention.
        executor: what runs a pass, and is recorded.
        clock: seconds, for the log.

    Attributes:
        capture: what records passes (`cuda_capture`); None if nothing is recorded.
        graphs_bytes: what the pools of all recordings hold, the decoder's too; no world can use it.
    """

    def __init__(
        self,
        config: GeneratorConfig,
        backend: Backend,
        attention: Attention,
        executor: Executor,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._config, self._backend, self._attention = config, backend, attention
        self._executor, self._clock = executor, clock
        self._new_cache = CACHES.make(backend.cache, backend.target)
        self._rope = Rope(config.transformer.head_dim, config.transformer.grid, backend.device)
        self.capture: Capture | None = cuda_capture() if backend.graphs else None
        self.graphs_bytes = 0
        self._graphs: dict[int, CudaGraphs] = {}
        """what all worlds of a batch size replay"""

    def open(self, batch: int, prompt_kv: Sequence[PromptKV]) -> tuple[WorldCache, Executor]:
        """Return an empty cache for a world, and what runs its passes.

        Args:
            batch: members of the batch.
            prompt_kv: a prompt's keys and values, for their sizes.

        Raises:
            BackendError: CUDA graphs were asked for with a cache that they cannot record.
        """
        if self.capture is None:
            return self._cache(batch), self._executor
        if batch not in self._graphs:
            # Recordings of another size that nobody uses make room.
            self._graphs = {size: graphs for size, graphs in self._graphs.items() if graphs.seat.in_use}
            self._graphs[batch] = self._record(batch, prompt_kv, self.capture)
        graphs = self._graphs[batch]
        return graphs.seat.open(lambda: self._ring(batch)), graphs

    def close(self, cache: WorldCache, executor: Executor) -> None:
        """Forget the cache of a world that closes."""
        if isinstance(executor, CudaGraphs) and isinstance(cache, RingCache):
            executor.seat.leave(cache)

    def measure(self) -> None:
        """Measure what the recordings' pools hold, after one was made."""
        self.graphs_bytes = pool_bytes(self._backend.device)

    def _record(self, batch: int, prompt_kv: Sequence[PromptKV], capture: Capture) -> CudaGraphs:
        begun, before = self._clock(), self._reserved()
        rewrites = [Rewrite(plan.keep_sink, plan.group_frames) for plan in live_recaches(self._config)]
        graphs = CudaGraphs(self._executor, self._ring(batch), self._config, prompt_kv, capture, rewrites)
        graphs.record()
        self.measure()
        took_s, taken_mb = self._clock() - begun, (self._reserved() - before) / 1e6
        log.info("recorded %d CUDA graphs in %.1f s; they and their ring take %.0f MB", len(graphs), took_s, taken_mb)
        return graphs

    def _reserved(self) -> int:
        """Return the bytes that torch's allocator has taken from the device; 0 on a CPU."""
        return torch.cuda.memory_reserved(self._backend.device) if self._backend.device.type == "cuda" else 0

    def _cache(self, batch: int) -> WorldCache:
        return self._new_cache(
            self._config,
            batch=batch,
            rope=self._rope,
            attention=self._attention,
            device=self._backend.device,
            dtype=self._backend.dtype,
        )

    def _ring(self, batch: int) -> RingCache:
        cache = self._cache(batch)
        if not isinstance(cache, RingCache):
            raise BackendError(f"CUDA graphs need a ring written in place, not cache {self._backend.cache!r}")
        return cache
