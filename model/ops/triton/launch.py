"""How a kernel is launched on rows: how many share a program, how many warps share a row."""

import triton
from torch import Tensor

from longtake.model.errors import ShapeError

INTERPRETED_ROWS = 256
"""rows of a program in the interpreter"""
WIDE = 4096
"""Above this many columns a row needs the registers of more warps: an FFN's, not a layer's."""


def block(size: int) -> int:
    """Return the power of two that holds a dimension: Triton's blocks have no other sizes."""
    power: int = triton.next_power_of_2(size)
    return power


def rows_of(x: Tensor) -> int:
    """Return how many rows of x one program takes."""
    return 1 if x.device.type == "cuda" else INTERPRETED_ROWS


def grid(x: Tensor, rows: int) -> tuple[int]:
    """Return how many programs take so many rows."""
    return (-(-rows // rows_of(x)),)


def warps(columns: int) -> int:
    """Return how many warps share a row of so many columns."""
    return 16 if columns > WIDE else 4


def check_contiguous(x: Tensor) -> None:
    """Raise ShapeError unless rows lie one after the other."""
    if not x.is_contiguous():
        raise ShapeError(f"a kernel reads contiguous rows, not {tuple(x.shape)} with strides {x.stride()}")
