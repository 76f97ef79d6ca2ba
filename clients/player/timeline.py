"""The strip along the take: what was shown, what is made ahead, and every cue with the work it cost.

block ticks        small marks; second marks are taller and every fifth is labelled
played take        the line left of the playhead, right of it the lead: frames made but not shown
cue                a diamond with its label; hollow while it waits, filled once it is in force
recache            the cool bar under a cue, as long as the recache took
"""

from dataclasses import dataclass

import pygame

from longtake.clients.player import theme
from longtake.clients.player.state import PlayerState
from longtake.clients.player.timeline_text import clock
from longtake.protocol.messages import Applied, ModelInfo

HEIGHT = 68
"""pixels"""
SPAN_S = 30.0
"""seconds of the take the strip shows"""
AHEAD = 0.16
"""share of the strip right of the playhead"""
MIN_BLOCK_PX = 4
"""block ticks closer than this are left out"""
MARK_PX = 5
"""half the width of a cue's mark"""
CLOSE_PX = 9
"""a click this close to a mark means it"""
LABEL_PX = 170
"""longest label of a cue"""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Maps ticks to places on the strip."""

    left: int
    right: int
    now: int
    """the tick at the playhead"""
    span: int
    """ticks across the strip"""

    @property
    def playhead(self) -> int:
        """x of the frame on the screen, pixels."""
        return round(self.left + (self.right - self.left) * (1 - AHEAD))

    def x(self, tick: float) -> int:
        """x of a tick, pixels; may lie outside the strip."""
        return round(self.playhead + (tick - self.now) * (self.right - self.left) / self.span)

    def ticks(self, every: int, first: int = 0) -> range:
        """The visible ticks `first + n * every`, none before the take's start."""
        low = self.now - round(self.span * (1 - AHEAD))
        high = self.now + round(self.span * AHEAD)
        start = first + max(0, -(-(low - first) // every)) * every
        return range(start, high + 1, every)


def draw(surface: pygame.Surface, rect: pygame.Rect, state: PlayerState, text: theme.Text, now: float) -> None:
    """Draw the strip of a world into `rect`; draws nothing until a world is joined."""
    if state.info is None:
        return
    model = state.info.model
    scale = scale_of(rect, state)
    surface.set_clip(rect)
    axis = rect.top + 42
    _draw_axis(surface, scale, axis, model, text)
    _draw_track(surface, scale, axis, state)
    labels = Labels(surface, text, axis - 22, scale.right)
    _draw_waiting(surface, scale, axis, state, labels, now)
    _draw_marks(surface, scale, axis, state, labels)
    _draw_playhead(surface, scale, axis, state)
    surface.set_clip(None)


def scale_of(rect: pygame.Rect, state: PlayerState) -> Scale:
    """Return the scale of the strip in `rect`."""
    return Scale(left=rect.left, right=rect.right, now=state.tick, span=max(1, round(SPAN_S * state.fps)))


def mark_at(rect: pygame.Rect, state: PlayerState, x: int) -> Applied | None:
    """Return the cue that was in force at a place of the strip; a mark close by wins. None before the first."""
    scale = scale_of(rect, state)
    close = [mark for mark in state.timeline if abs(scale.x(mark.tick) - x) <= CLOSE_PX]
    if close:
        return min(close, key=lambda mark: abs(scale.x(mark.tick) - x))
    return next((mark for mark in reversed(state.timeline) if scale.x(mark.tick) <= x), None)


def _draw_axis(surface: pygame.Surface, scale: Scale, axis: int, model: ModelInfo, text: theme.Text) -> None:
    block_px = model.block_frames * (scale.right - scale.left) / scale.span
    if block_px >= MIN_BLOCK_PX:
        for tick in scale.ticks(model.block_frames, model.first_block_frames):
            x = scale.x(tick)
            pygame.draw.line(surface, theme.LINE, (x, axis + 6), (x, axis + 9))
    for tick in scale.ticks(model.fps):
        second = tick // model.fps
        fifth = second % 5 == 0
        x = scale.x(tick)
        colour = theme.FAINT if fifth else theme.LINE
        pygame.draw.line(surface, colour, (x, axis + 5), (x, axis + (11 if fifth else 9)))
        if fifth:
            label = text.render(clock(second), theme.SMALL - 1, theme.FAINT)
            left = x - label.get_width() // 2
            if scale.left <= left and left + label.get_width() <= scale.right:  # a cut number reads as another one
                surface.blit(label, (left, axis + 12))


def _draw_track(surface: pygame.Surface, scale: Scale, axis: int, state: PlayerState) -> None:
    start = max(scale.left, scale.x(0))
    pygame.draw.rect(surface, theme.LINE, (start, axis - 1, scale.right - start, 3), border_radius=1)
    pygame.draw.rect(surface, theme.MUTED, (start, axis - 1, scale.playhead - start, 3), border_radius=1)
    lead = state.status.lead if state.status else 0
    if lead:
        pygame.draw.rect(
            surface, theme.COOL, (scale.playhead, axis - 1, scale.x(state.tick + lead) - scale.playhead, 3)
        )


def _draw_marks(surface: pygame.Surface, scale: Scale, axis: int, state: PlayerState, labels: "Labels") -> None:
    """Draw the cues that took effect, or will at a block that is not on the screen yet."""
    marks = [mark for mark in state.timeline if mark.kind != "start"]
    in_force = next((mark.tick for mark in reversed(marks) if mark.tick <= state.tick), None)
    assert state.info is not None  # draw() has returned otherwise
    px_per_ms = state.info.model.fps / 1e3 * (scale.right - scale.left) / scale.span
    for mark in reversed(marks):
        x = scale.x(mark.tick)
        if x < scale.left - LABEL_PX:
            break
        if mark.recache_ms > 0:
            width = MARK_PX + max(2, round(mark.recache_ms * px_per_ms))
            pygame.draw.rect(surface, theme.COOL, (x, axis - 2, width, 5), border_radius=2)
        diamond(surface, x, axis, theme.ACCENT, filled=mark.tick <= state.tick)
        labels.draw(
            state.label_of(mark.kind, mark.label), x - MARK_PX, theme.TEXT if mark.tick == in_force else theme.MUTED
        )


def _draw_waiting(
    surface: pygame.Surface, scale: Scale, axis: int, state: PlayerState, labels: "Labels", now: float
) -> None:
    """Draw the cues sent from here that the take does not list yet."""
    known = {mark.cue for mark in state.timeline}
    lead = state.status.lead if state.status else 0
    for cue in reversed([cue for cue in state.pending if cue.ack is None or cue.ack.cue not in known]):
        tick = cue.tick if cue.tick is not None else state.tick + lead
        x = min(scale.x(tick), scale.right - MARK_PX - 1)
        pulse = abs((now * 2.0) % 2.0 - 1.0)
        diamond(surface, x, axis, theme.mix(theme.FAINT, theme.ACCENT, pulse), filled=False)
        labels.draw(state.label_of(cue.kind, cue.label), x - MARK_PX, theme.ACCENT)


class Labels:
    """Places labels above the line, from right to left, in two rows, so that close cues stay readable."""

    def __init__(self, surface: pygame.Surface, text: theme.Text, lower: int, right: int) -> None:
        self._surface = surface
        self._text = text
        self._tops = (lower, lower - 16)
        self._limits = [right, right]

    def draw(self, label: str, x: int, colour: theme.Colour) -> None:
        """Draw a label at `x`, cut at the next label; leave it out if nothing fits."""
        rooms = [min(LABEL_PX, limit - x - theme.GAP) for limit in self._limits]
        wanted = min(LABEL_PX, self._text.width(label, theme.SMALL))
        row = 0 if rooms[0] >= min(wanted, rooms[1]) else 1
        shown = self._text.fit(label, rooms[row], theme.SMALL)
        if len(shown) > 2:
            self._surface.blit(self._text.render(shown, theme.SMALL, colour), (x, self._tops[row]))
            self._limits[row] = x
            if row:
                # a line down to the mark, past the row below
                pygame.draw.line(
                    self._surface, theme.LINE, (x + MARK_PX, self._tops[1] + 15), (x + MARK_PX, self._tops[0] + 14)
                )


def _draw_playhead(surface: pygame.Surface, scale: Scale, axis: int, state: PlayerState) -> None:
    x = scale.playhead
    colour = theme.ACCENT if state.paused else theme.BRIGHT
    pygame.draw.line(surface, colour, (x, axis - 8), (x, axis + 8), 2)


def diamond(surface: pygame.Surface, x: int, y: int, colour: theme.Colour, *, filled: bool) -> None:
    """Draw a cue's mark."""
    points = [(x, y - MARK_PX), (x + MARK_PX, y), (x, y + MARK_PX), (x - MARK_PX, y)]
    pygame.draw.polygon(surface, colour if filled else theme.PANEL, points)
    pygame.draw.lines(surface, colour, True, points)
