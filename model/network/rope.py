"""Three-axis rotary positions (frame, row, column).

A head's channels are pairs (2i, 2i+1), each one complex number; of c = head_dim / 2 of them c - 2 (c // 3) turn with
the frame, c // 3 with the row and c // 3 with the column (Wan2.1). Angles are computed in fp64 for exactly the frames
that are needed, so there is no table to run out of, and precision does not depend on the length of the take.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

THETA = 10000.0


def axis_split(head_dim: int) -> tuple[int, int, int]:
    """Return how many of a head's complex channels turn with frame, row and column."""
    channels = head_dim // 2
    third = channels // 3
    return channels - 2 * third, third, third


def axis_frequencies(channels: int, device: torch.device | str | None = None) -> Tensor:
    """Return the angle per position of each complex channel of one axis: [channels] float64."""
    exponents = torch.arange(channels, dtype=torch.float64, device=device) / channels
    return THETA**-exponents


class Rope:
    """Angles for the tokens of one grid: the spatial part is computed once, the frame's part when it is asked for.

    Args:
        head_dim: width of a head.
        grid: rows and columns of tokens in a latent frame.
        device: where the tables live.
    """

    def __init__(self, head_dim: int, grid: tuple[int, int], device: torch.device | str | None = None) -> None:
        rows, columns = grid
        of_frame, of_row, of_column = axis_split(head_dim)
        self.frame_tokens = rows * columns
        self._frame_frequencies = axis_frequencies(of_frame, device)
        row = torch.outer(torch.arange(rows, dtype=torch.float64, device=device), axis_frequencies(of_row, device))
        column = torch.outer(
            torch.arange(columns, dtype=torch.float64, device=device), axis_frequencies(of_column, device)
        )
        angles = torch.cat(
            (row[:, None].expand(rows, columns, of_row), column[None].expand(rows, columns, of_column)), dim=-1
        )
        self._spatial = torch.polar(torch.ones_like(angles), angles).flatten(0, 1)

    def table(self, frames: Sequence[float] | Tensor) -> Tensor:
        """Return the rotations of the tokens of frames at the given positions.

        Args:
            frames: position on the frame axis of each latent frame, [F] (a list, or a tensor [..., F]).

        Returns:
            [..., F, S, head_dim / 2] complex64.
        """
        device = self._spatial.device
        if isinstance(frames, range):
            # Counted on the device: a copy from the host would make the host wait for the device.
            position = torch.arange(frames.start, frames.stop, frames.step, dtype=torch.float64, device=device)
        else:
            position = torch.as_tensor(frames, dtype=torch.float64, device=device)
        angles = position[..., None] * self._frame_frequencies
        temporal = torch.polar(torch.ones_like(angles), angles)[..., None, :]
        tokens = self.frame_tokens
        temporal = temporal.expand(*position.shape, tokens, -1)
        spatial = self._spatial.expand(*position.shape, tokens, -1)
        return torch.cat((temporal, spatial), dim=-1).to(torch.complex64)


def rotate(x: Tensor, table: Tensor) -> Tensor:
    """Rotate queries or keys by their positions.

    Args:
        x: [..., F, S, heads, head_dim] float.
        table: from `Rope.table`, [..., F, S, head_dim / 2] complex64.

    Returns:
        The shape of x, float32 (cast it when it is stored, so that it is rounded once).
    """
    pairs = torch.view_as_complex(x.float().unflatten(-1, (-1, 2)))
    return torch.view_as_real(pairs * table.unsqueeze(-2)).flatten(-2)


def turn(x: Tensor, table: Tensor) -> None:
    """Rotate queries or keys by their positions in place; computes what `rotate` does.

    Args:
        x: [..., head_dim] float32.
        table: from `Rope.table`, [..., head_dim / 2] complex64, of a shape that broadcasts against x's.
    """
    torch.view_as_complex(x.unflatten(-1, (-1, 2))).mul_(table)
