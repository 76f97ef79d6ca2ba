"""Measures how a clip looks and moves: detail, motion, and how evenly the motion is spread over blocks of frames.

PSNR does not see judder: a clip may stand still for three frames and jump at the fourth at little cost in decibels.
These figures do. Compare them with those of the same clip as it was drawn (`Comparison`).
"""

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Motion:
    """How one clip looks and moves, in the units of pictures of 0..1."""

    detail: float
    """mean squared difference between neighbouring pixels (gradient energy)"""
    inside: float
    """mean absolute difference between consecutive frames of one block"""
    boundary: float
    """mean absolute difference between the last frame of a block and the first of the next"""

    @property
    def evenness(self) -> float:
        """Difference at block boundaries over the difference inside blocks; 1 is even."""
        return self.boundary / max(self.inside, 1e-9)


def measure(frames: Tensor, block_frames: int = 4) -> Motion:
    """Measure a clip [T, 3, H, W] float in 0..1 that begins with a block and has two or more.

    Raises:
        ValueError: there is no block boundary to measure.
    """
    if frames.shape[0] <= block_frames:
        raise ValueError(f"{frames.shape[0]} frames hold no boundary between blocks of {block_frames}")
    frames = frames.float()
    detail = frames.diff(dim=-1).square().mean() + frames.diff(dim=-2).square().mean()
    changes = frames.diff(dim=0).abs().mean((1, 2, 3))
    crosses = torch.arange(1, frames.shape[0], device=frames.device) % block_frames == 0
    return Motion(detail=float(detail), inside=float(changes[~crosses].mean()), boundary=float(changes[crosses].mean()))


def total(motions: Iterable[Motion]) -> Motion:
    """Average over clips; a ratio of averages is not upset by a clip that hardly moves.

    Raises:
        ValueError: there are none.
    """
    parts = list(motions)
    if not parts:
        raise ValueError("no clips to average")
    return Motion(
        detail=sum(m.detail for m in parts) / len(parts),
        inside=sum(m.inside for m in parts) / len(parts),
        boundary=sum(m.boundary for m in parts) / len(parts),
    )


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """Made clips beside the same clips as drawn. 1 is perfect, except for `evenness`, where `drawn_evenness` is."""

    detail: float
    """gradient energy, made over drawn"""
    motion: float
    """difference between frames inside blocks, made over drawn"""
    evenness: float
    """boundary over inside, made"""
    drawn_evenness: float


def compare(made: Iterable[Motion], drawn: Iterable[Motion]) -> Comparison:
    """Compare the averages of two sets of clips."""
    ours, theirs = total(made), total(drawn)
    return Comparison(
        detail=ours.detail / max(theirs.detail, 1e-12),
        motion=ours.inside / max(theirs.inside, 1e-12),
        evenness=ours.evenness,
        drawn_evenness=theirs.evenness,
    )
