"""Whether a further world fits in a GPU's memory: said in one line before it is tried, not by the allocator."""

import torch

from longtake.model.backend import Backend
from longtake.model.config import GeneratorConfig

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


def check_room(config: GeneratorConfig, backend: Backend) -> None:
    """Raise MemoryError if a further world does not fit on a CUDA device. A CPU is not asked: it can swap."""
    if backend.device.type != "cuda":
        return
    needed, free = ring_bytes(config, backend) + SPARE_BYTES, free_bytes(backend.device)
    if needed > free:
        raise MemoryError(
            f"a world of this model needs about {needed / 1e9:.1f} GB on {backend.device} and {free / 1e9:.1f} GB "
            "is free: close another world, or load the model with --option cache=fp8"
        )
