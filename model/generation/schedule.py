"""The flow-matching schedule: x_t = (1 - s) x_0 + s noise, and the network predicts noise - x_0."""

from collections.abc import Sequence

import torch
from torch import Tensor

TABLE_STEPS = 1000


class Schedule:
    """The table of noise levels and the conversions between noisy, clean and flow.

    Args:
        shift: s' = shift s / (1 + (shift - 1) s); a larger one spends more of the steps at high noise.
        device: of the table.

    Attributes:
        sigmas: [1000] float32, falling from 1.
        timesteps: [1000] float32, sigmas times 1000.
    """

    def __init__(self, shift: float, device: torch.device | str | None = None) -> None:
        even = torch.linspace(1.0, 0.0, TABLE_STEPS + 1)[:-1]
        self.sigmas = (shift * even / (1 + (shift - 1) * even)).to(device)
        self.timesteps = self.sigmas * TABLE_STEPS

    def warp(self, steps: Sequence[float]) -> list[float]:
        """Return the timesteps that the shift makes of even steps (1000 down to 0); never rounded to integers."""
        table = [*self.timesteps.tolist(), 0.0]
        return [table[round(TABLE_STEPS - step)] for step in steps]

    def sigma(self, t: Tensor) -> Tensor:
        """Return the noise level at the table's nearest timestep: t [...] float -> [...] float32."""
        distance = (self.timesteps - t.to(self.timesteps).unsqueeze(-1)).abs()
        return self.sigmas[distance.argmin(dim=-1)]

    def add_noise(self, x0: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Return x0 noised to t, in the noise's type: x0, noise [..., C, h, w]; t [...] float."""
        return add_noise(x0, noise, _like(self.sigma(t), x0))

    def clean(self, xt: Tensor, flow: Tensor, t: Tensor) -> Tensor:
        """Return the x0 that a flow leads to, in xt's type: xt, flow [..., C, h, w]; t [...] float."""
        return clean(xt, flow, _like(self.sigma(t), xt).double())

    def flow(self, x0: Tensor, xt: Tensor, t: Tensor) -> Tensor:
        """Return the flow from x0 to xt, computed in fp64, in x0's type: x0, xt [..., C, h, w]; t [...] float."""
        sigma = _like(self.sigma(t), x0).double()
        return ((xt.double() - x0.double()) / sigma).to(x0.dtype)


def add_noise(x0: Tensor, noise: Tensor, sigma: Tensor | float) -> Tensor:
    """Return (1 - sigma) x0 + sigma noise, computed in fp32, in the noise's type."""
    return ((1 - sigma) * x0.float() + sigma * noise.float()).to(noise.dtype)


def clean(xt: Tensor, flow: Tensor, sigma: Tensor | float) -> Tensor:
    """Return x0 = xt - sigma flow, computed in fp64, in xt's type."""
    return (xt.double() - sigma * flow.double()).to(xt.dtype)


def _like(sigma: Tensor, x: Tensor) -> Tensor:
    """Return sigma [...] with the trailing dimensions of x [..., C, h, w]."""
    return sigma.to(x.device).reshape(*sigma.shape, *(1,) * (x.ndim - sigma.ndim))
