"""The lead: how far ahead of the screen a block is begun. A cue waits for all of it, so it is as short as is safe.

A block must begin while the frames that are left still cover the slowest plausible block up to its own frames, the
whole turns of the other worlds on the generator, and a margin. A new prompt's recache is done ahead, while the
generator is idle. Time for one is kept all the same where it costs nothing: a cue that comes so late that its
recache would not fit goes to the next block anyway, so a block may as well begin before that moment, and a cut-in
then finds the generator idle more often. Only a model with axes waits longer, because inputs are read when a block
begins.

The lead learns from steady blocks: see `Pace`. Where other programs take the processor now and then, that is too
little for the next slow blocks, so each frame that is held for one makes the margin larger for some minutes.
"""

import math
from dataclasses import dataclass

from longtake.protocol.messages import ModelInfo
from longtake.runtime.world.statistics import Pace


@dataclass(frozen=True, kw_only=True)
class LeadConfig:
    """How the lead is chosen."""

    percent: float = 95.0
    """of the newest block and recache times that the lead must cover"""
    window: int = 20
    """the newest blocks, or recaches, that it learns from"""
    halves_in_s: float = 1.5
    """of film, in which what one slow block adds to the lead goes back to a half"""
    margin_s: float = 0.015
    """for the loop itself and the messages between the processes"""
    held_adds_s: float = 0.015
    """to the margin, for every frame that is held because its block is late"""
    held_adds_most_s: float = 0.06
    held_halves_in_s: float = 300.0
    """of film, in which what held frames added goes back to a half"""
    least_frames: int = 1
    most_blocks: int = 2
    """upper bound: a longer queue does not help a generator slower than real time, it only delays cues"""

    def __post_init__(self) -> None:
        counts = min(self.least_frames, self.most_blocks, self.window) >= 1
        added = min(self.margin_s, self.held_adds_s, self.held_adds_most_s) >= 0
        halves = min(self.halves_in_s, self.held_halves_in_s) > 0
        if not counts or not added or not halves or not 0 < self.percent <= 100:
            raise ValueError(f"impossible lead: {self}")


class Lead:
    """Measures blocks and recaches of one world and says how long before its deadline a block must begin."""

    def __init__(self, model: ModelInfo, config: LeadConfig | None = None) -> None:
        self._config = config = config or LeadConfig()
        self._fps = model.fps
        self._first_guess = model.block_frames
        self._film_s = model.block_frames / model.fps
        self._has_axes = bool(model.axes)
        self._recaches_late = "late_recache" in model.capabilities
        self.most_frames = max(config.most_blocks * model.block_frames, config.least_frames)
        self.block_s = self._pace()
        """from request to arrival, without a recache"""
        self.turn_s = self._pace()
        """the generator's time for a block, without a recache: less than `block_s` if it decodes a block while it makes
        the next one, more if it finishes the block when the frames have left"""
        self.recache_s = self._pace()
        self._wary_s = 0.0

    def held(self) -> None:
        """A frame was held because its block is late. It counts once there are blocks enough to have learned from."""
        if len(self.block_s) < self._config.window:
            return
        self._wary_s = min(self._wary_s + self._config.held_adds_s, self._config.held_adds_most_s)

    def observe(self, *, block_s: float, recache_s: float = 0.0) -> None:
        """Add one measured step: the time from request to arrival, without its recache."""
        self.block_s.forget(self._film_s)
        self.turn_s.forget(self._film_s)
        self._wary_s *= 0.5 ** (self._film_s / self._config.held_halves_in_s)
        self.block_s.add(block_s)
        self.recache_s.forget(self._film_s, first_guess=self.block_s.slowest())
        self.observe_recache(recache_s)

    def observe_recache(self, recache_s: float) -> None:
        """Add one measured recache, its text included; 0 stands for none."""
        if recache_s > 0:
            self.recache_s.add(recache_s)

    def recache_takes_s(self) -> float:
        """Return how long a recache plausibly takes. One that was never measured counts as long as a block."""
        block = self.block_s.slowest()
        block = self._film_s if block is None else block
        recache = self.recache_s.slowest(first_guess=block)
        return block if recache is None else recache

    def block_needs_s(self, worlds_on_generator: int = 1) -> float:
        """Return how long before its first deadline a block must begin if its prompt is in place by then.

        `worlds_on_generator` is the number of worlds that take turns on the generator, this one included. Until a
        block is measured it is the length of a block.
        """
        block = self.block_s.slowest()
        if block is None:
            return min(self._first_guess, self.most_frames) / self._fps
        others = (max(1, worlds_on_generator) - 1) * self._turn_takes_s(block)
        return self._bounded(block + others + self._config.margin_s + self._wary_s)

    def needed_s(self, worlds_on_generator: int = 1) -> float:
        """Return how long before its first deadline a block is begun."""
        block = self.block_needs_s(worlds_on_generator)
        if not len(self.block_s):
            return block
        recache = self.recache_takes_s()
        if self._has_axes and worlds_on_generator <= 1:
            # What does not fit between two blocks delays the second one.
            spare = max(0.0, self._film_s - self._turn_takes_s(block))
            recache = max(0.0, recache + (self._config.margin_s if self._recaches_late else 0.0) - spare)
        return self._bounded(block + recache)

    def recache_fits_after(self, worlds_on_generator: int = 1, within_s: float | None = None) -> bool:
        """Whether a recache after a block leaves time for the next one, and for the turns of the other worlds.

        It does not before anything is measured.

        Args:
            worlds_on_generator: as in `block_needs_s`.
            within_s: time from the block's begin to the latest start of the next one; None for that of the usual, the
                film of a block, less the margin.
        """
        block = self.block_s.slowest()
        if block is None:
            return False
        if within_s is None:
            within_s = self._film_s - self._config.margin_s
        turns = max(1, worlds_on_generator) * self._turn_takes_s(block)
        return turns + self.recache_takes_s() <= within_s + 1e-9

    def target_frames(self, worlds_on_generator: int = 1) -> int:
        """Return the number of unshown frames that cover `needed_s`."""
        frames = math.ceil(self.needed_s(worlds_on_generator) * self._fps - 1e-9)
        return min(max(frames, self._config.least_frames), self.most_frames)

    def _turn_takes_s(self, block: float) -> float:
        """Return how long a block plausibly takes the generator; `block` until that is measured."""
        turn = self.turn_s.slowest()
        return block if turn is None else turn

    def _bounded(self, seconds: float) -> float:
        return min(max(seconds, self._config.least_frames / self._fps), self.most_frames / self._fps)

    def _pace(self) -> Pace:
        config = self._config
        return Pace(
            config.window,
            percent=config.percent,
            halves_in_s=config.halves_in_s,
            most=self.most_frames / self._fps,
        )
