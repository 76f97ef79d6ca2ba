"""Whether a further world fits in a GPU's memory: said in one line before it is tried, not by the allocator."""

import torch

from longtake.model.backend import Backend
from longtake.model.config import GeneratorConfig

SHARED_POOL = (0, 0)
"""where torch's allocator keeps what any tensor may use"""
SPARE_BYTES = 1_000_000_000
"""beside the ring: scales, the decoder's state, and what a recache needs while it runs"""


def ring_bytes(config: GeneratorConfig, backend: Backend) -> int:
    """Return the bytes of one world's keys and values, without the scales of an 8-bit cache."""
    sizes = config.transformer
    itemsize = 1 if backend.cache == "fp8" else backend.dtype.itemsize
    values = 2 * sizes.layers * config.window_frames * sizes.frame_tokens * sizes.heads * sizes.head_dim
    return values * itemsize


def free_bytes(device: torch.device) -> int:
    """Return what can still be had on a CUDA device, kept but unused memory included."""
    free, _ = torch.cuda.mem_get_info(device)
    return free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)


def pool_bytes(device: torch.device) -> int:
    """Return the unused bytes of CUDA graphs' pools, which nothing but their replays may use; 0 on a CPU.

    Torch's allocator counts them as kept but unused.
    """
    if device.type != "cuda":
        return 0
    number = torch.cuda.current_device() if device.index is None else device.index
    return sum(
        segment["total_size"] - segment["allocated_size"]
        for segment in torch.cuda.memory_snapshot()
        if segment["device"] == number and tuple(segment["segment_pool_id"]) != SHARED_POOL
    )


def check_room(config: GeneratorConfig, backend: Backend, graphs_bytes: int = 0) -> None:
    """Raise MemoryError if a further world does not fit on a CUDA device. A CPU is not asked: it can swap.

    Args:
        config: of the generator.
        backend: how it computes.
        graphs_bytes: what the pools of its CUDA graphs hold (`pool_bytes`).
    """
    if backend.device.type != "cuda":
        return
    needed, free = ring_bytes(config, backend) + SPARE_BYTES, free_bytes(backend.device) - graphs_bytes
    if needed > free:
        beside = f", beside {graphs_bytes / 1e9:.1f} GB for CUDA graphs" if graphs_bytes else ""
        raise MemoryError(
            f"a world of this model needs about {needed / 1e9:.1f} GB on {backend.device} and {max(0, free) / 1e9:.1f} "
            f"GB is free{beside}: close another world, or load the model with --option cache=fp8"
        )
