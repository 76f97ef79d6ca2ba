"""Which slot of the window each latent frame takes: the arithmetic of the ring, without tensors."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from longtake.model.errors import WorldError


class SlotRun(NamedTuple):
    """Frames of a block that take adjacent slots: the first slot, the first frame's offset in the block, how many."""

    slot: int
    offset: int
    frames: int


class Group(NamedTuple):
    """Frames of a block that see the same: from `start` to before `end` in the block, and how many slots they see."""

    start: int
    end: int
    seen: int


@dataclass(frozen=True, kw_only=True)
class BlockLayout:
    """Where a block's frames go and what they see.

    Attributes:
        first_frame: index in the take of the first.
        frames: how many.
        visible_frames: slots in use with the block in place.
        runs: the slots they take.
        groups: what they see.
        new_sink_frames: how many of them, from the first, become part of the sink.
    """

    first_frame: int
    frames: int
    visible_frames: int
    runs: tuple[SlotRun, ...]
    groups: tuple[Group, ...]
    new_sink_frames: int

    @property
    def slots(self) -> tuple[int, ...]:
        """The slot of each frame."""
        return tuple(run.slot + index for run in self.runs for index in range(run.frames))


class Window:
    """The counters of a window: a sink, and a ring that a take goes round in.

    Args:
        sink_frames, ring_frames: their slots.

    Attributes:
        first_frame: index in the take of the first frame since the window was last emptied; the sink starts there.
        end_frame: index of the next frame.
        ring_first: index of the first frame that went into the ring.
    """

    def __init__(self, sink_frames: int, ring_frames: int) -> None:
        self.sink_frames, self.ring_frames = sink_frames, ring_frames
        self.first_frame = self.end_frame = self.ring_first = 0
        self.restart(0)

    def restart(self, first_frame: int) -> None:
        """Forget every frame; the next one has the given index in the take, and becomes the sink's first."""
        self.first_frame = self.end_frame = first_frame
        self.ring_first = first_frame + self.sink_frames

    def keep_sink(self, next_frame: int) -> None:
        """Forget every frame but the sink's; raises WorldError if the sink is not full."""
        if self.end_frame < self.first_frame + self.sink_frames:
            raise WorldError(f"the sink is not full after {self.end_frame - self.first_frame} latent frames")
        self.end_frame = self.ring_first = next_frame

    def load(self, first_frame: int, end_frame: int, ring_first: int) -> None:
        """Bring back saved counters."""
        self.first_frame, self.end_frame, self.ring_first = first_frame, end_frame, ring_first

    def begin(self, group_frames: Sequence[int]) -> BlockLayout:
        """Return where the frames that come next go; see `Cache.begin`."""
        frames = sum(group_frames)
        limit = self.ring_frames if len(group_frames) == 1 else 0
        room = max(limit, self.sink_frames + self.ring_frames - self.valid_frames)
        if frames > room:
            raise WorldError(f"{frames} latent frames do not fit in the {room} that the cache has room for")
        first = self.end_frame
        sink_end = min(self.first_frame + self.sink_frames, first + frames)
        visible = self.frames_with(frames)
        return BlockLayout(
            first_frame=first,
            frames=frames,
            visible_frames=visible,
            runs=tuple(self._runs(first, frames)),
            groups=tuple(_groups(group_frames, visible - frames)),
            new_sink_frames=max(0, sink_end - first),
        )

    def commit(self, layout: BlockLayout) -> None:
        """Make a block's frames past; raises WorldError out of order."""
        if layout.first_frame != self.end_frame:
            raise WorldError(
                f"the block at latent frame {layout.first_frame} cannot be committed: {self.end_frame} comes next"
            )
        self.end_frame += layout.frames

    @property
    def valid_frames(self) -> int:
        """Slots in use."""
        return self.frames_with(0)

    @property
    def valid_sink_frames(self) -> int:
        """Slots of the sink in use."""
        return min(self.sink_frames, self.end_frame - self.first_frame)

    def frames_with(self, frames: int) -> int:
        """Return how many slots are in use after that many more frames."""
        end = self.end_frame + frames
        sink = min(self.sink_frames, end - self.first_frame)
        return sink + min(self.ring_frames, max(0, end - self.ring_first))

    def sink_shift(self, end_frame: int) -> int:
        """Return how far the sink moves on the frame axis to lie right before a window that ends at end_frame."""
        oldest = max(self.ring_first, end_frame - self.ring_frames)
        return oldest - self.sink_frames - self.first_frame

    def slot(self, frame: int) -> int:
        """Return the slot of a frame that has not left the window."""
        if frame < self.first_frame + self.sink_frames:
            return frame - self.first_frame
        return self.sink_frames + (frame - self.ring_first) % self.ring_frames

    def _runs(self, first_frame: int, frames: int) -> list[SlotRun]:
        runs: list[SlotRun] = []
        for offset in range(frames):
            slot = self.slot(first_frame + offset)
            if runs and slot == runs[-1].slot + runs[-1].frames:
                runs[-1] = runs[-1]._replace(frames=runs[-1].frames + 1)
            else:
                runs.append(SlotRun(slot, offset, 1))
        return runs


def _groups(group_frames: Sequence[int], past: int) -> list[Group]:
    groups, start = [], 0
    for count in group_frames:
        groups.append(Group(start, start + count, past + start + count))
        start += count
    return groups
