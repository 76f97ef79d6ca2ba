"""What training does differently from device to device."""

from typing import Final

import torch
from torch import Tensor, distributed

from longtake.model.ops.precision import choose_precision

CPU: Final = torch.device("cpu")
_agreed_dtypes: dict[str, torch.dtype] = {}
"""by kind of device, in a run of several ranks"""


def working_dtype(device: torch.device) -> torch.dtype:
    """Return the type to compute in: bf16, or fp32 on a processor that multiplies it faster, or on an old GPU.

    Ranks that were started together compute in the same one (`agree_on_dtype`).
    """
    return _agreed_dtypes.get(device.type) or choose_precision("auto", device)


def agree_on_dtype(device: torch.device) -> None:
    """Take the first rank's type to compute in; all ranks call it before anything else.

    A CPU is measured, and on a busy machine two ranks may find different answers. They would then send each other
    parameters of different sizes, which gloo answers by ending the process.
    """
    _agreed_dtypes.pop(device.type, None)
    rank, ranks = rank_and_ranks()
    if ranks > 1:
        half = torch.tensor(float(rank == 0 and working_dtype(device) is torch.bfloat16))
        distributed.broadcast(half, src=0)
        _agreed_dtypes[device.type] = torch.bfloat16 if half else torch.float32


def half_precision(device: torch.device) -> torch.autocast:
    """Compute in bf16 within a `with` block, if the device multiplies it."""
    return torch.autocast(device.type, torch.bfloat16, enabled=working_dtype(device) is torch.bfloat16)


def to_device(x: Tensor, device: torch.device) -> Tensor:
    """Copy to a device without waiting for it."""
    if device.type != "cuda":
        return x.to(device)
    return x.pin_memory().to(device, non_blocking=True)


def rank_and_ranks() -> tuple[int, int]:
    """Return which rank of a run this process is, and of how many; (0, 1) outside a run of several."""
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def agreed(wish: bool, device: torch.device) -> bool:
    """Return whether any rank has the wish: what one does alone, the others would wait for."""
    if rank_and_ranks()[1] == 1:
        return wish
    said = torch.tensor(float(wish), device=device)
    distributed.all_reduce(said, distributed.ReduceOp.MAX)
    return bool(said)
