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

_FLOOR = 4e-6
"""energy of a gradient, per pixel, that counts as none: half of a grey level of 255"""
_WINDOW = 8
"""pixels along a side of the windows in which energies are compared"""


@dataclass(frozen=True, kw_only=True)
class PictureLossConfig:
    """Weights of the terms; the absolute error has 1."""

    square: float = 12.0
    """of the squared error, which is what decibels measure"""
    gradient: float = 0.5
    """of the absolute error of gradients, over `scales`"""
    motion: float = 1.0
    """of the absolute error of differences between frames, also over the boundaries of blocks"""
    energy: float = 0.05
    """of what gradients, and half of it for differences between frames, lack in likeness"""
    scales: tuple[int, ...] = (1, 2, 4)
    """pixels averaged before gradients are taken; each scale has half the weight of the one before"""


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
    change = error.diff(dim=1).abs().mean()
    loss = loss + config.motion * change
    for place, scale in enumerate(config.scales):
        small = functional.avg_pool2d(error.flatten(0, 1), scale) if scale > 1 else error
        gradients = small.diff(dim=-1).abs().mean() + small.diff(dim=-2).abs().mean()
        loss = loss + config.gradient * 0.5**place * gradients
    unlike_space, unlike_time = unlikeness(made, target)
    loss = loss + config.energy * (unlike_space + 0.5 * unlike_time)
    return loss, {"unlike_space": unlike_space.detach(), "unlike_time": unlike_time.detach()}


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
