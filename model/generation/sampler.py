"""Samplers: how a block goes from one noise level to the next, given what the network takes its clean latents for.

`renoise` adds fresh noise to the clean latents, as LongLive does: right for a network distilled to few steps, whose
clean latents are sharp at every level. `multistep` follows the flow without fresh noise, extrapolating from the step
before: DPM-Solver++(2M) (Lu et al., 2022, arXiv:2211.01095, algorithm 2), for a network that is not distilled. `euler`
goes straight to the next level: for a network that was distilled to take steps of just this size.
"""

import math
from collections.abc import Callable, Sequence
from typing import Final, Protocol

from torch import Tensor

from longtake.model.config import SamplerName
from longtake.model.generation.schedule import add_noise


class BlockSampler(Protocol):
    """Takes one block through the noise levels."""

    def advance(self, step: int, xt: Tensor, x0: Tensor, noise: Tensor) -> Tensor:
        """Return the block's latents at the level of step + 1.

        Args:
            step: the one just made, from 0; it is not the last.
            xt: its noisy latents, [B, F, C, h, w].
            x0: the clean latents that the network saw in them, like xt.
            noise: of the block, [draws, B, F, C, h, w].
        """
        ...


class Sampler:
    """The sampler of a generator.

    Args:
        name: renoise, multistep or euler.
        sigmas: noise levels of the steps, falling, 1 at most.
    """

    def __init__(self, name: SamplerName, sigmas: Sequence[float]) -> None:
        self._kind = _KINDS[name]
        self.sigmas = tuple(sigmas)

    def begin(self) -> BlockSampler:
        """Begin a block."""
        return self._kind(self.sigmas)


class _Renoise:
    """See the module."""

    def __init__(self, sigmas: Sequence[float]) -> None:
        self._sigmas = sigmas

    def advance(self, step: int, xt: Tensor, x0: Tensor, noise: Tensor) -> Tensor:
        """See `BlockSampler`."""
        return add_noise(x0, noise[step + 1], self._sigmas[step + 1])


class _Euler:
    """See the module."""

    def __init__(self, sigmas: Sequence[float]) -> None:
        self._sigmas = sigmas

    def advance(self, step: int, xt: Tensor, x0: Tensor, noise: Tensor) -> Tensor:
        """See `BlockSampler`."""
        kept = self._sigmas[step + 1] / self._sigmas[step]
        return (kept * xt.float() + (1 - kept) * x0.float()).to(xt.dtype)


class _Multistep:
    """See the module."""

    def __init__(self, sigmas: Sequence[float]) -> None:
        self._sigmas = sigmas
        self._before: Tensor | None = None

    def advance(self, step: int, xt: Tensor, x0: Tensor, noise: Tensor) -> Tensor:
        """See `BlockSampler`."""
        sigma, after = self._sigmas[step : step + 2]
        x0 = x0.float()
        aim = x0
        if self._before is not None:
            log_snr = [_log_snr(each) for each in self._sigmas[step - 1 : step + 2]]
            # From pure noise the step before was endless, and its clean latents say nothing about the slope.
            slope = (log_snr[2] - log_snr[1]) / (log_snr[1] - log_snr[0])
            aim = x0 + (x0 - self._before) * (slope / 2)
        self._before = x0
        kept = after / sigma
        return (kept * xt.float() + (1 - after - kept * (1 - sigma)) * aim).to(xt.dtype)


_KINDS: Final[dict[SamplerName, Callable[[Sequence[float]], BlockSampler]]] = {
    "renoise": _Renoise,
    "multistep": _Multistep,
    "euler": _Euler,
}


def _log_snr(sigma: float) -> float:
    """Return the logarithm of signal over noise at a level, -inf for pure noise."""
    return -math.inf if sigma >= 1 else math.log((1 - sigma) / sigma)
