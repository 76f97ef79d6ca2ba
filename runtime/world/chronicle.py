"""A world's own history: the timeline its members see, and the log a take file is written from."""

from typing import Literal

from longtake.protocol.generator_messages import GenBlock
from longtake.protocol.messages import Applied, Notice, Reading
from longtake.runtime.takes.file import TakeBlock, TakeCue, TakeHeader, TakeLog, TakeRecord
from longtake.runtime.world.block_plan import MadeBlock
from longtake.runtime.world.effects import Effect, Record, Tell

MAX_TIMELINE_CHARACTERS = 60_000
"""of labels and prompts that one `joined` carries; the oldest marks are left out beyond it"""
MAX_MARKS = 2000
"""marks kept; the oldest are forgotten beyond it (the take file has them all)"""


class Chronicle:
    """Timeline and log of one world. What members and the take file should get is appended to `effects`."""

    def __init__(self, *, world: str, effects: list[Effect], header: TakeHeader) -> None:
        self.timeline: list[Applied] = []
        self.log = TakeLog(header)
        self._world = world
        self._effects = effects

    def begin(self, header: TakeHeader) -> None:
        """Forget the old take: a new one begins."""
        self.timeline.clear()
        self.log = TakeLog(header)

    def record(self, record: TakeRecord) -> None:
        """Log a record, and write it if a take is being recorded."""
        self.log.add(record)
        self._effects.append(Record(record=record))

    def only_write(self, record: TakeRecord) -> None:
        """Write a record if a take is being recorded; the log begins anew with the header and needs none of it."""
        self._effects.append(Record(record=record))

    def notice(
        self,
        kind: Literal["closed", "reset", "generator_lost", "generator_back", "recording", "shutdown"],
        text: str,
        *,
        generation: int,
        tick: int,
    ) -> None:
        """Tell the members that something happened."""
        notice = Notice(world=self._world, kind=kind, text=text, generation=generation, tick=tick)
        self._effects.append(Tell(message=notice))

    def block(self, made: MadeBlock, message: GenBlock) -> None:
        """Note a block that was made for the first time, the cues it carries, and what is read in it."""
        if made.block == 0:
            self._mark(made, message, 0, "start", "", self.log.header.prompt)
        prompt = made.prompt or (self.timeline[-1].prompt if self.timeline else self.log.header.prompt)
        for cue in made.cues:
            self._mark(made, message, cue.number, cue.kind, cue.label, prompt)
            self.record(
                TakeCue(
                    cue=cue.number,
                    block=made.block,
                    tick=made.first_tick,
                    kind=cue.kind,
                    label=cue.label,
                    prompt=prompt,
                )
            )
        self.record(TakeBlock(block=made.block, digest=message.digest, prompt=made.prompt))
        if message.labels:
            self._read(made, message)

    def newest_marks(self) -> list[Applied]:
        """Return the newest marks that fit into one message."""
        kept, room = 0, MAX_TIMELINE_CHARACTERS
        for mark in reversed(self.timeline):
            # 200: the names and numbers of one mark on the wire
            room -= 200 + 4 * (len(mark.label) + len(mark.prompt))
            if room < 0:
                break
            kept += 1
        return self.timeline[len(self.timeline) - kept :]

    def _mark(
        self,
        made: MadeBlock,
        message: GenBlock,
        cue: int,
        kind: Literal["prompt", "event", "start"],
        label: str,
        prompt: str,
    ) -> None:
        mark = Applied(
            world=self._world,
            generation=message.generation,
            cue=cue,
            block=made.block,
            tick=made.first_tick,
            kind=kind,
            label=label,
            prompt=prompt,
            recache_ms=message.timings_ms.get("recache", 0.0),
        )
        self.timeline.append(mark)
        del self.timeline[:-MAX_MARKS]
        self._effects.append(Tell(message=mark))

    def _read(self, made: MadeBlock, message: GenBlock) -> None:
        reading = Reading(
            world=self._world,
            generation=message.generation,
            block=made.block,
            tick=made.first_tick,
            labels=message.labels,
            confidence=message.confidence,
        )
        self._effects.append(Tell(message=reading))
