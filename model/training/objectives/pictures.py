"""What a decoded clip is judged by: error, edges, motion, and the energy of both.

Absolute and squared errors are smallest for a blurred picture: where an edge's place is known with a correlation of r,
they draw it with r times its contrast, and motion with r times its size. The energy terms compare gradients within
small windows by 2 <a, b> / (<a, a> + <b, b>), which, for any r above zero, is largest at full contrast, and which
noise never raises.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from longtake.model.bounds import at_least

_FLOOR = 4e-6
"""energy of a gradient, per pixel, that counts as none: half of a grey level of 255"""
_WINDOW = 8
"""pixels along a side of the windows in which energies are compared"""
_MOTION_WINDOW = 16
"""the same for motion, over all of a clip's frames"""


@dataclass(frozen=True, kw_only=True)
class PictureLossConfig:
    """Weights of the terms; the absolute error has 1."""

    square: float = 12.0
    """of the squared error, which is what decibels measure"""
    gradient: float = 0.5
    """of the absolute error of gradients, over `scales`"""
    motion: float = 0.06
    """of the error of differences between frames, see `motion_error`"""
    energy: float = 0.05
    """of what gradients, and half of it for differences between frames, lack in likeness"""
    scales: tuple[int, ...] = (1, 2, 4)
    """pixels averaged before gradients are taken; each scale has half the weight of the one before"""

    def __post_init__(self) -> None:
        at_least(self, 0, "square", "gradient", "motion", "energy")


def picture_loss(
    made: Tensor, target: Tensor, weights: Tensor, config: PictureLossConfig
) -> tuple[Tensor, dict[str, Tensor]]:
    """Compare clips.

    Args:
        made: [B, T, 3, H, W] float, nominally 0..1.
        target: the same of what was drawn.
        weights: [B, T, 1, H, W], of each pixel's error.
        config: the terms' weights.

    Returns:
        the loss, and figures for the log.
    """
    error = made - target
    loss = (weights * error.abs()).mean() + config.square * (weights * error.square()).mean()
    moved = motion_error(error, target)
    loss = loss + config.motion * moved
    for place, scale in enumerate(config.scales):
        small = functional.avg_pool2d(error.flatten(0, 1), scale) if scale > 1 else error
        gradients = small.diff(dim=-1).abs().mean() + small.diff(dim=-2).abs().mean()
        loss = loss + config.gradient * 0.5**place * gradients
    unlike_space, unlike_time = unlikeness(made, target)
    loss = loss + config.energy * (unlike_space + 0.5 * unlike_time)
    return loss, {
        "motion_error": moved.detach(),
        "unlike_space": unlike_space.detach(),
        "unlike_time": unlike_time.detach(),
    }


def motion_error(error: Tensor, target: Tensor) -> Tensor:
    """Return the error of differences between frames over the differences themselves, in windows of all frames.

    Within a window errors count by their squares, so one that comes in over four frames costs half of one that comes
    in at once, at the boundary of a block. Windows are compared with their own motion, so fog and night count too.
    """
    wrong, moved = (x.diff(dim=1).square().mean((1, 2)).unsqueeze(1) for x in (error, target))
    pooled = functional.avg_pool2d(torch.cat([wrong, moved], 1), _MOTION_WINDOW, _MOTION_WINDOW // 2)
    # The small number keeps the slope finite where nothing is wrong.
    return ((pooled[:, 0] / (pooled[:, 1] + _FLOOR) + 1e-4).sqrt() - 1e-2).mean()


def unlikeness(made: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """Return how unlike the clips' gradients in space and in time are, each 0 (alike) to 1 (one of them flat) or 2."""
    a, b = made.mean(2), target.mean(2)
    space = [_unlike(a.diff(dim=dim), b.diff(dim=dim)) for dim in (-1, -2)]
    time = _unlike(a.diff(dim=1), b.diff(dim=1))
    return (space[0] + space[1]) / 2, time


def _unlike(a: Tensor, b: Tensor) -> Tensor:
    """[B, T, H, W] twice; averages over windows with as much weight as they have energy, up to a point."""
    products = torch.stack([a * b, a.square() + b.square()], 2).flatten(0, 1)
    pooled = functional.avg_pool2d(products, _WINDOW, _WINDOW // 2)
    return (1 - (2 * pooled[:, 0] + _FLOOR) / (pooled[:, 1] + _FLOOR)).mean()
