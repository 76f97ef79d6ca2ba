"""A world's history: the timeline that its members see, and the log that a take file is written from."""

from collections.abc import Iterator
from typing import Literal

from longtake.protocol.conditioning import Conditioning, carried, fields, new_fields
from longtake.protocol.generator_messages import GenBlock
from longtake.protocol.messages import Applied, MarkKind, Notice, Reading
from longtake.runtime.takes.file import FORMAT, TakeBlock, TakeCue, TakeHeader, TakeLog, TakeRecord, TakeReset
from longtake.runtime.world.block_plan import MadeBlock
from longtake.runtime.world.config import WorldConfig
from longtake.runtime.world.effects import Effect, Record, Tell

MAX_TIMELINE_CHARACTERS = 60_000
"""Limit on labels and prompts in one `joined`; the oldest marks are left out beyond it."""
MAX_MARKS = 2000
"""marks kept; the oldest are forgotten beyond it (the take file has them all)"""


class Chronicle:
    """Timeline and log of one world. Messages to members and records for the take file are appended to `effects`."""

    def __init__(self, config: WorldConfig, effects: list[Effect], *, conditioning: Conditioning) -> None:
        """`conditioning` is what the take begins under."""
        self.timeline: list[Applied] = []
        self._config = config
        self._effects = effects
        self._log = TakeLog(self._header(generation=0, seed=config.seed, conditioning=conditioning))

    @property
    def first_conditioning(self) -> Conditioning:
        """What the take began under."""
        return carried(self._log.header)

    def records(self) -> Iterator[TakeRecord]:
        """Return the take so far: its header, and all records since."""
        return self._log.records()

    def begin(self, *, generation: int, seed: int, conditioning: Conditioning) -> None:
        """Start the history of a new take. A recording goes on, with a record that says so."""
        self.timeline.clear()
        self._log = TakeLog(self._header(generation=generation, seed=seed, conditioning=conditioning))
        # written, not logged: the new log begins with a header of its own
        self._effects.append(Record(record=TakeReset(generation=generation, seed=seed, **fields(conditioning))))

    def record(self, record: TakeRecord) -> None:
        """Log a record, and write it if a take is being recorded."""
        self._log.add(record)
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
        notice = Notice(world=self._config.name, kind=kind, text=text, generation=generation, tick=tick)
        self._effects.append(Tell(message=notice))

    def block(self, made: MadeBlock, message: GenBlock) -> None:
        """Note a new block, the cues that took effect in it, and what the probe read."""
        if made.block == 0:
            self._mark(made, message, 0, "start", "", self.first_conditioning.prompt)
        prompt = made.conditioning.prompt if made.conditioning is not None else self.timeline[-1].prompt
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
        self.record(TakeBlock(block=made.block, digest=message.digest, **new_fields(made.conditioning)))
        if message.labels:
            self._read(made, message)

    def newest_marks(self) -> list[Applied]:
        """Return the newest marks that fit into one message."""
        kept, room = 0, MAX_TIMELINE_CHARACTERS
        for mark in reversed(self.timeline):
            # 500: the names, numbers and labels of one mark on the wire
            room -= 500 + 4 * (len(mark.label) + 2 * len(mark.prompt))
            if room < 0:
                break
            kept += 1
        return self.timeline[len(self.timeline) - kept :]

    def _mark(
        self,
        made: MadeBlock,
        message: GenBlock,
        cue: int,
        kind: MarkKind,
        label: str,
        prompt: str,
    ) -> None:
        mark = Applied(
            world=self._config.name,
            generation=message.generation,
            cue=cue,
            block=made.block,
            tick=made.first_tick,
            kind=kind,
            label=label,
            prompt=prompt,
            recache_ms=message.timings_ms.get("recache", 0.0),
            understood=self._config.understand(prompt),
        )
        self.timeline.append(mark)
        del self.timeline[:-MAX_MARKS]
        self._effects.append(Tell(message=mark))

    def _read(self, made: MadeBlock, message: GenBlock) -> None:
        reading = Reading(
            world=self._config.name,
            generation=message.generation,
            block=made.block,
            tick=made.first_tick,
            labels=message.labels,
            confidence=message.confidence,
        )
        self._effects.append(Tell(message=reading))

    def _header(self, *, generation: int, seed: int, conditioning: Conditioning) -> TakeHeader:
        config = self._config
        return TakeHeader(
            format=FORMAT,
            world=config.name,
            model=config.model,
            seed=seed,
            script=config.script,
            mode=config.mode,
            generation=generation,
            threads=config.threads,
            options=dict(config.options),
            versions=dict(config.versions),
            **fields(conditioning),
        )
