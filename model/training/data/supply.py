"""The supply of a rank: clips are drawn, encoded and put into the pool that it samples from."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from longtake.model.bounds import at_least, part
from longtake.model.diorama.actions import AXES
from longtake.model.errors import ConfigError, TrainingError
from longtake.model.training.compute import agreed
from longtake.model.training.data.drawing import DrawingConfig, Illustrator
from longtake.model.training.data.encoding import ClipEncoder
from longtake.model.training.data.feed import Feed, InlineFeed, WorkerFeed
from longtake.model.training.data.pool import EMPTY, LatentPool, PoolConfig

ENCODED_AT_ONCE: Final = 16
"""clips at most; bounds the memory, and how long a step waits"""
FILLING_SHARE: Final = 0.3
"""of the time, until the pool is full, without workers"""


@dataclass(frozen=True, kw_only=True)
class SupplyConfig:
    """How clips come."""

    drawing: DrawingConfig = field(default_factory=DrawingConfig)
    workers: int = 0
    """processes that draw, a rank; 0 draws in the rank itself, which is right if it leaves no core idle"""
    pool_clips: int = 1500
    """clips that are kept, of all ranks together"""
    first_clips: int = 48
    """clips in the pool before the first step"""
    refresh: float = 0.1
    """share of the time that goes into fresh clips once the pool is full, without workers"""

    def __post_init__(self) -> None:
        at_least(self, 0, "workers")
        if not 1 <= self.first_clips <= self.pool_clips:
            raise ConfigError(
                f"first_clips must lie between 1 and pool_clips {self.pool_clips}, not {self.first_clips}"
            )
        part(self, "refresh")


class Supply:
    """Keeps a pool fresh.

    Args:
        config: how.
        encoder: weights, see `ClipEncoder`.
        latent_shape: C, h, w that the transformer takes.
        device: of the encoder and the pool.
        rank: this one; it owns every `ranks`th slot of the pool.
        ranks: how many share the pool.
        folder: of the pool, on a CPU; None keeps it in memory.
        clock: seconds.

    Raises:
        CheckpointError: there is no such encoder.
        TrainingError: the encoder makes latents of other sizes, or a clip cannot be had.
    """

    def __init__(
        self,
        config: SupplyConfig,
        *,
        encoder: Path,
        latent_shape: tuple[int, int, int],
        device: torch.device,
        rank: int = 0,
        ranks: int = 1,
        folder: Path | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.config, self._rank, self._ranks, self._clock = config, rank, ranks, clock
        self.encoder = ClipEncoder(encoder, device)
        self._latent_shape, self._device = latent_shape, device
        self.pool = LatentPool(self._sizes(config.pool_clips), device, folder)
        self.drawn = 0
        """clips that this rank has drawn, over all the times that the run was resumed"""
        self._feed: Feed | None = None
        self._began = self._drawing_s = 0.0

    def _sizes(self, clips: int) -> PoolConfig:
        drawing = self.config.drawing
        text = drawing.record()["text"].shape[1:]
        return PoolConfig(
            clips=clips, latents=(drawing.latent_frames, *self._latent_shape), text=text, actions=len(AXES)
        )

    def no_text(self) -> NDArray[np.float16]:
        """What an empty prompt is encoded as: [L, text_dim]."""
        return Illustrator(self.config.drawing).no_text()

    def begin(self) -> None:
        """Open the feed, and wait until the pool holds enough clips to begin."""
        self._feed = self._open()
        self._fill(self._feed)
        self._began, self._drawing_s = self._clock(), 0.0

    def refresh(self) -> None:
        """Put fresh clips into the pool, if there are any or it is time to draw one; `begin` comes first."""
        assert self._feed is not None, "begin"
        if self.config.workers:
            self._put(self._feed.ready(ENCODED_AT_ONCE))
            return
        before = self._clock()
        share = self.config.refresh if self._full() else FILLING_SHARE
        if agreed(self._drawing_s < share * (before - self._began), self._device):
            self._put([self._feed.wait()])
            self._drawing_s += self._clock() - before

    def apart(self, clips: int, seed: int) -> LatentPool:
        """Draw clips of another seed into a pool of their own: they are never trained on."""
        feed = InlineFeed(replace(self.config.drawing, seed=seed))
        pool = LatentPool(self._sizes(clips), self._device)
        for slot in range(clips):
            clip = feed.wait()
            latents, starts = self.encoder.encode([clip])
            pool.put(slot, latents[0], starts[0], clip)
        return pool

    def close(self) -> None:
        """End the processes that draw."""
        if self._feed is not None:
            self._feed.close()

    def _open(self) -> Feed:
        first = self.drawn * self._ranks + self._rank
        if self.config.workers:
            return WorkerFeed(self.config.drawing, self.config.workers, first, self._ranks)
        return InlineFeed(self.config.drawing, first, self._ranks)

    def _fill(self, feed: Feed) -> None:
        mine = self.pool.switch[self._rank :: self._ranks]
        wanted = -(-self.config.first_clips // self._ranks)
        for _ in range(wanted - min(wanted, int((mine != EMPTY).sum()))):
            self._put([feed.wait()])

    def _full(self) -> bool:
        return bool((self.pool.switch[self._rank :: self._ranks] != EMPTY).all())

    def _put(self, clips: list[NDArray[np.void]]) -> None:
        if not clips:
            return
        latents, starts = self.encoder.encode(clips)
        made_shape, wanted = tuple(latents.shape[1:]), self.pool.config.latents
        if made_shape != wanted:
            raise TrainingError(f"the encoder makes latents {made_shape}, the transformer takes {wanted}")
        own = len(range(self._rank, self.pool.config.clips, self._ranks))
        for clip, made, alone in zip(clips, latents, starts, strict=True):
            self.pool.put(self._rank + self._ranks * (self.drawn % own), made, alone, clip)
            self.drawn += 1
