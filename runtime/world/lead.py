"""The lead: how many frames are made ahead of the screen. A cue waits for all of them, so keep as few as possible.

The next step must start while the remaining frames still cover the slowest plausible step: one turn of each world on
the generator, one recache, and a margin, all at the measured 99th percentile.
"""

import math
from dataclasses import dataclass

from longtake.protocol.messages import ModelInfo
from longtake.runtime.world.statistics import Rolling


@dataclass(frozen=True, kw_only=True)
class LeadConfig:
    """How the lead is chosen."""

    percent: float = 99.0
    """of block and recache times that the lead must cover"""
    margin_s: float = 0.02
    """for the loop itself and the messages between the processes"""
    least_frames: int = 1
    most_blocks: int = 2
    """upper bound: a longer queue does not help a generator slower than real time, it only delays cues"""

    def __post_init__(self) -> None:
        if self.least_frames < 1 or self.most_blocks < 1 or self.margin_s < 0 or not 0 < self.percent <= 100:
            raise ValueError(f"impossible lead: {self}")


class Lead:
    """Measures blocks and recaches of one world and says when to start the next step."""

    def __init__(self, model: ModelInfo, config: LeadConfig | None = None) -> None:
        self._config = config or LeadConfig()
        self._fps = model.fps
        self._first_guess = model.block_frames
        self.most_frames = max(self._config.most_blocks * model.block_frames, self._config.least_frames)
        self.block_s = Rolling(128)
        self.turn_s = Rolling(128)
        """the generator's time for a block; less than `block_s` if it decodes a block while it makes the next one"""
        self.recache_s = Rolling(32)

    def observe(self, *, block_s: float, recache_s: float = 0.0) -> None:
        """Add one measured step: the time from request to arrival, without its recache."""
        self.block_s.add(block_s)
        if recache_s > 0:
            self.recache_s.add(recache_s)

    def target_frames(self, worlds_on_generator: int = 1) -> int:
        """Return the number of unshown frames at or below which the next step is started.

        `worlds_on_generator` is the number of worlds that take turns on the generator, this one included. Until a
        block is measured the target is one block. A recache that was never measured counts as long as a block.
        """
        block = self.block_s.percentile(self._config.percent)
        if block is None:
            return min(self._first_guess, self.most_frames)
        recache = self.recache_s.percentile(self._config.percent)
        needed_s = block * max(1, worlds_on_generator) + (block if recache is None else recache) + self._config.margin_s
        frames = math.ceil(needed_s * self._fps)
        return min(max(frames, self._config.least_frames), self.most_frames)
