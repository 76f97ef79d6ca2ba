"""What a world wants of its generator now: its next block, the next block's prompt ahead of it, a snapshot, or nothing.

Lockstep and offline worlds make what is asked for and what is taken. A live world begins a block as late as is safe, so
that the block still meets the cues and inputs that come meanwhile:

    film ends          when the frames that are made, or being decoded, have been shown
    latest start       a block (and the other worlds' turns) before that; a new prompt has to be in place by then
    turn               when the block is begun: the latest start, or a recache before it (see `Lead`)

Between two blocks the generator is idle. A cue that comes then is encoded and recached at once, and once more if
another follows. If that would not be done by the latest start, the deadline has priority: the next block shows the new
prompt, and the window is rebuilt after it, where the model can (`late_recache`); otherwise the cue goes to the block
after the next.
"""

from typing import Literal

from longtake.runtime.world.block_plan import BlockPlan
from longtake.runtime.world.config import WorldConfig
from longtake.runtime.world.generator_link import GeneratorLink
from longtake.runtime.world.lead import Lead
from longtake.runtime.world.playback import Playback

EARLY_S = 0.0015
"""this much before its turn a block may begin, so that the server need not wait more exactly than a poll does"""
PATIENCE = 2
"""a live world that is busy waits this many times the interval of snapshots for a moment in which one fits"""

Want = Literal["", "step", "ahead", "snapshot"]


class Pacing:
    """See the module's docstring. Driven with explicit `now`."""

    def __init__(
        self, config: WorldConfig, *, plan: BlockPlan, lead: Lead, playback: Playback, link: GeneratorLink
    ) -> None:
        self.worlds_on_generator = 1
        """running worlds on the same generator, this one included"""
        self.cut_blocks: set[int] = set()
        """blocks of cut-in cues: nothing waits until they are made"""
        self._config = config
        self._plan = plan
        self._lead = lead
        self._playback = playback
        self._link = link

    @property
    def film_ends(self) -> float | None:
        """When the last frame that is made, or being decoded, has been shown; None if no clock runs."""
        deadline = self._playback.deadline
        if self._config.mode != "live" or deadline is None:
            return None
        return deadline + (self._playback.lead + self._plan.frames_awaiting_decode) / self._config.model.fps

    @property
    def turn_at(self) -> float | None:
        """When the next block is to begin, in live mode; None if no clock runs, or the generator cannot take it."""
        ends = self.film_ends
        if ends is None or not self._link.free:
            return None
        return ends - self._lead.needed_s(self.worlds_on_generator)

    def recaches_late(self, now: float, *, cut_in: bool = False) -> bool:
        """Whether the next block may show a new prompt whose window is rebuilt after it.

        Either that always fits between two blocks, or the lead makes up for what does not, once: the next block then
        begins later than it would, but in time. A cut (`cut_in`, or one that waits already) uses up the lead.
        """
        if self._config.mode != "live" or "late_recache" not in self._config.model.capabilities:
            return False
        worlds, ends = self.worlds_on_generator, self.film_ends
        if self._lead.recache_fits_after(worlds):
            return True
        if ends is None or cut_in or self.cut_blocks or now > ends:
            return False
        begins = max(now, ends - self._lead.needed_s(worlds))
        film_s = self._config.model.block_frames / self._config.model.fps
        next_starts = ends + film_s - self._lead.block_needs_s(worlds)
        return self._lead.recache_fits_after(worlds, next_starts - begins)

    def _can_be_late(self, now: float, *, cut_in: bool = False) -> bool:
        """Whether it may, going by what waits for it, too."""
        return self._plan.can_be_late and self.recaches_late(now, cut_in=cut_in)

    def takes_cue(self, now: float, *, cut_in: bool = False) -> bool:
        """Whether the next block can take a cue that comes now, without being late.

        While a block is being made there is time for a recache after it: the lead sees to that. But there may not be
        for another one if the block has its own. A block that is late already, or waits for a lost generator, takes
        every cue.
        """
        ends = self.film_ends
        if ends is None or now >= ends or self._link.behind:
            return True
        if self._link.making:
            return not self._plan.late or self._lead.recache_fits_after(self.worlds_on_generator)
        return self._can_be_late(now, cut_in=cut_in) or self._recache_fits(now, ends)

    def _recache_fits(self, now: float, ends: float) -> bool:
        """Whether a recache that is asked for now is done by the latest start of the next block."""
        recache_s = self._lead.recache_takes_s()
        begins = now
        if self._link.cueing_since is not None:
            begins = max(now, self._link.cueing_since + recache_s)
        return begins + recache_s <= ends - self._lead.block_needs_s(self.worlds_on_generator)

    def wants(self, now: float) -> Want:
        """Return what the generator should do for this world now."""
        if not self._link.free:
            return ""
        if self._wants_snapshot(now):
            return "snapshot"
        if self._wants_step(now):
            return "step"
        return "ahead" if self._wants_ahead(now) else ""

    def _wants_ahead(self, now: float) -> bool:
        """Whether the next block's prompt should be brought ahead of it now."""
        if self._config.mode != "live" or self._plan.wants_ahead() is None:
            return False
        ends = self.film_ends
        return not self._can_be_late(now) or ends is None or self._recache_fits(now, ends)

    def urgency(self, now: float) -> float:
        """Return when the block that is wanted now was due; infinity if it is not needed at a certain time."""
        turn_at = self.turn_at
        return float("inf") if turn_at is None or self.wants(now) != "step" else turn_at

    def _wants_step(self, now: float) -> bool:
        """Whether the next block should start now. This bounds the lead."""
        if self._plan.catching_up or self.cut_blocks:
            return True
        playback = self._playback
        lead = playback.lead + self._plan.frames_awaiting_decode
        if self._config.mode == "lockstep":
            # Only what was asked for: otherwise the place of a cue would depend on the machine's speed.
            return lead < playback.asked
        if self._config.mode == "offline":
            return playback.running and lead <= self._config.model.block_frames
        turn_at = self.turn_at
        if turn_at is None:
            return lead <= self._lead.target_frames(self.worlds_on_generator)
        return now >= turn_at - EARLY_S

    def _wants_snapshot(self, now: float) -> bool:
        """Between blocks, and only when no frame is urgent."""
        link, playback = self._link, self._playback
        if not link.wants_snapshot(now):
            return False
        if self._config.mode != "live":
            return True
        if playback.lead == 0 or self.cut_blocks or self._plan.wants_ahead() is not None:
            return False
        turn_at = self.turn_at
        # One takes less than a block.
        fits = turn_at is None or now + self._lead.block_needs_s() <= turn_at
        return fits or self._plan.snapshot_due(now, PATIENCE)
