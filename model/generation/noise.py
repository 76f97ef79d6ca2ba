"""A world's noise: seeded for each block, so that block N can be made alone; never the global generator."""

from collections.abc import Sequence
from hashlib import blake2b
from typing import Protocol

import torch
from torch import Tensor

from longtake.model.errors import ShapeError


class NoiseSource(Protocol):
    """Draws a block's noise."""

    def draw(self, block: int, draws: int, frames: tuple[int, ...]) -> Tensor:
        """Return the noise of one block.

        Args:
            block: the block's index in the take.
            draws: the first is the block's start, the others, if any, re-noise between the sampler's steps.
            frames: shape of the block's latents without the batch, (F, C, h, w).

        Returns:
            [draws, B, F, C, h, w] float32, on the CPU.
        """
        ...


class SeededNoise:
    """Noise seeded by (seed, block index), with one seed for each member of the batch.

    Args:
        seeds: any integers.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self.seeds = tuple(seeds)

    def draw(self, block: int, draws: int, frames: tuple[int, ...]) -> Tensor:
        """See `NoiseSource.draw`."""
        return torch.stack([self._draw_one(seed, block, (draws, *frames)) for seed in self.seeds], dim=1)

    @staticmethod
    def _draw_one(seed: int, block: int, shape: tuple[int, ...]) -> Tensor:
        # Hashed, because torch's CPU generator uses 32 bits of a seed: neighbouring seeds and blocks must not overlap.
        digest = blake2b(f"{seed}/{block}".encode(), digest_size=8).digest()
        generator = torch.Generator(device="cpu").manual_seed(int.from_bytes(digest[:4], "little"))
        return torch.randn(shape, generator=generator)


class RecordedNoise:
    """Noise read from tensors, for parity with a recorded run.

    Args:
        noise: every block's start, [B, F of the take, C, h, w].
        renoise: re-noising, [blocks, steps - 1, F, C, h, w] (batch 1) or [blocks, steps - 1, B, F, C, h, w].
    """

    def __init__(self, noise: Tensor, renoise: Tensor) -> None:
        self._noise = noise
        self._renoise = renoise.unsqueeze(2) if renoise.ndim == 6 else renoise

    def draw(self, block: int, draws: int, frames: tuple[int, ...]) -> Tensor:
        """See `NoiseSource.draw`; raises ShapeError if the recording has no such block."""
        count = frames[0]
        start = self._noise[:, block * count : (block + 1) * count]
        if block >= len(self._renoise) or tuple(start.shape[1:]) != frames or self._renoise.shape[1] != draws - 1:
            raise ShapeError(
                f"the recorded noise {tuple(self._noise.shape)}, {tuple(self._renoise.shape)} "
                f"has no block {block} of {draws} draws and frames {frames}"
            )
        return torch.cat((start[None], self._renoise[block])).float()
