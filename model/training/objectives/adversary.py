"""An adversary that learns to tell decoded pictures from drawn ones, patch by patch.

Errors by pixel are smallest for a blurred picture; an adversary sees that nothing drawn is blurred. It looks at a frame
and at what changed since the one before it, so that ghosts of a moving thing count as much as soft edges. The loss is
the hinge loss of Geometric GAN (Lim and Ye, 2017, arXiv:1705.02894); its weight follows the slopes of both losses, as
in VQGAN (Esser et al., 2021, arXiv:2012.09841, equation 7).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

_LARGEST = 10.0
"""the adversary's slope is raised by no more than this"""


class Adversary(nn.Module):
    """Pairs of frames [N, 2, 3, H, W] in 0..1 -> how drawn each patch of the second one looks, [N, 1, H / 8, W / 8].

    A patch is what one score sees, about 60 pixels across.
    """

    def __init__(self, widths: tuple[int, int, int] = (48, 96, 128)) -> None:
        super().__init__()
        a, b, c = widths
        self.body = nn.Sequential(
            nn.PixelUnshuffle(2),
            nn.Conv2d(24, a, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(a, b, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(b, c, 4, stride=2, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(c, c, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv2d(c, 1, 3, padding=1),
        )

    def forward(self, pairs: Tensor) -> Tensor:
        """See the class."""
        before, now = pairs.unbind(1)
        scores: Tensor = self.body(torch.cat([now - 0.5, 2 * (now - before)], 1))
        return scores


def pairs_of(frames: Tensor, first: Tensor) -> Tensor:
    """Frames [B, T, 3, H, W] and places [n] in 0..T-2 -> each of those with its successor, [B * n, 2, 3, H, W]."""
    return torch.stack([frames[:, first], frames[:, first + 1]], 2).flatten(0, 1)


def adversarial_losses(adversary: Adversary, made: Tensor, drawn: Tensor) -> tuple[Tensor, Tensor]:
    """Return what the decoder wants smaller, and what the adversary does; pairs of frames as for `Adversary`.

    The first has no slope in the adversary's weights and the second none in `made`, so both go into one sum.
    """
    frozen = {name: weight.detach() for name, weight in adversary.named_parameters()}
    fooled: Tensor = torch.func.functional_call(adversary, frozen, (made,))
    told = adversary(torch.cat([made.detach(), drawn]))
    of_made, of_drawn = told.chunk(2)
    told_apart = functional.relu(1 + of_made).mean() + functional.relu(1 - of_drawn).mean()
    return -fooled.mean(), told_apart


def balance(loss: Tensor, adversarial: Tensor, at: Tensor) -> Tensor:
    """Return the factor that gives the second loss a slope as large as the first's, in the weights `at`; no gradient.

    Args:
        loss: of the picture, a scalar.
        adversarial: the other one.
        at: weights that both depend on, those of the decoder's last layer.
    """
    slopes = [torch.autograd.grad(each, at, retain_graph=True)[0].norm() for each in (loss, adversarial)]
    factor: Tensor = slopes[0] / (slopes[1] + 1e-6)
    return factor.clamp(max=_LARGEST).detach()
