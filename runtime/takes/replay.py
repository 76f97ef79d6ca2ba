"""Replays a recorded take: the same steps, prompts, resets and restores, compared block by block.

Bit-exact on the same build, device and thread count; elsewhere the first difference says where it parts.
"""

import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass

import zmq

from longtake.protocol import sockets
from longtake.protocol.conditioning import Conditioning, carried, fields, new_fields, newly_carried
from longtake.protocol.errors import LongtakeError
from longtake.protocol.generator_messages import (
    GenBlock,
    GenDone,
    GenError,
    GenOpen,
    GenReady,
    GenRestore,
    GenSaved,
    GenSnapshot,
    GenStep,
)
from longtake.protocol.messages import Message, ModelInfo
from longtake.runtime.clock import MonotonicClock
from longtake.runtime.generator.hosts import GeneratorHostConfig, ProcessHost, ThreadHost
from longtake.runtime.generator.supervisor import Supervisor
from longtake.runtime.takes.file import Take, TakeBlock, TakeError, TakeReset, TakeRestore

log = logging.getLogger(__name__)
WORLD = "replay"


@dataclass(frozen=True, kw_only=True)
class ReplayedBlock:
    """One replayed block of a take."""

    generation: int
    block: int
    first_tick: int
    expected: str
    """digest in the take file"""
    digest: str
    """digest of the replayed frames"""
    pixels: memoryview
    """`[frames, height, width, 3] uint8 RGB`"""
    frames: int

    @property
    def same(self) -> bool:
        """Whether the frames are the recorded ones, bit for bit."""
        return self.digest == self.expected


@dataclass(frozen=True, kw_only=True)
class ReplayResult:
    """The result of a whole replay."""

    blocks: int
    same: int
    first_difference: ReplayedBlock | None
    model_differs: str
    """known differences of the model, e.g. its weights; empty if there are none"""

    def __str__(self) -> str:
        """Say it in one line."""
        if self.first_difference is None:
            return f"all {self.blocks} blocks are the same, bit for bit"
        where = self.first_difference
        line = (
            f"{self.blocks - self.same} of {self.blocks} blocks differ, first block {where.block} "
            f"(tick {where.first_tick}, generation {where.generation})"
        )
        return f"{line}; {self.model_differs}" if self.model_differs else line


def replay(take: Take, config: GeneratorHostConfig, *, in_process: bool = False) -> ReplayResult:
    """Replay a take and compare. Raises `TakeError` or `ReplayFailed`."""
    blocks = same = 0
    first: ReplayedBlock | None = None
    with_model = Replay(take, config, in_process=in_process)
    for made in with_model.blocks():
        blocks += 1
        same += made.same
        if not made.same and first is None:
            first = made
    return ReplayResult(blocks=blocks, same=same, first_difference=first, model_differs=with_model.differences())


class ReplayFailed(LongtakeError):
    """The take cannot be replayed here."""

    def __init__(self, message: str) -> None:
        super().__init__("generator", message)


class Replay:
    """A running replay: `for block in Replay(take, config).blocks(): ...` yields blocks as they are made."""

    def __init__(self, take: Take, config: GeneratorHostConfig, *, in_process: bool = False) -> None:
        self.take = take
        self.model: ModelInfo | None = None
        """the model of the replaying generator; None before the first block"""
        self._config = config
        self._in_process = in_process
        self._generation = take.header.generation
        self._seed = take.header.seed
        self._start = carried(take.header)
        self._made: dict[int, Conditioning | None] = {}
        """by block: the new conditioning of its step, in this generation"""
        self._snapshots: dict[int, bytes] = {}
        self._sources = _snapshot_sources(take)

    def blocks(self) -> Iterator[ReplayedBlock]:
        """Start a generator, make every block of the take, and end the generator."""
        context: sockets.Context = zmq.Context()
        host = ThreadHost(self._config, context) if self._in_process else ProcessHost(self._config)
        self._generator = Supervisor(config=self._config, host=host, context=context, clock=MonotonicClock())
        try:
            self._generator.start()
            self._expect(GenReady)
            self.model = next((m for m in self._generator.models if m.name == self.take.header.model.name), None)
            if self.model is None:
                raise ReplayFailed(f"the take needs the model {self.take.header.model.name!r}")
            self._open()
            yield from self._records()
        finally:
            self._generator.stop()
            context.destroy(linger=0)

    def differences(self) -> str:
        """Return how the model and its options differ from the recording."""
        recorded, now = self.take.header.model, self.model
        if now is None:
            return ""
        names = ("weights", "device", "precision", "height", "width", "block_frames")
        found = [
            f"{name} was {getattr(recorded, name)!r}, is {getattr(now, name)!r}"
            for name in names
            if getattr(recorded, name) != getattr(now, name)
        ]
        options, instead = self.take.header.options, self._config.options
        found += [
            f"{name} was {options.get(name, 'not given')}, is {instead.get(name, 'not given')}"
            for name in sorted({*options, *instead})
            if options.get(name) != instead.get(name)
        ]
        return ", ".join(found)

    # --- inside --------------------------------------------------------------------------------------------

    def _records(self) -> Iterator[ReplayedBlock]:
        for record in self.take.records:
            if isinstance(record, TakeReset):
                self._generation, self._seed, self._start = record.generation, record.seed, carried(record)
                self._made.clear()
                self._snapshots.clear()
                self._open()
            elif isinstance(record, TakeRestore):
                self._restore(record)
            elif isinstance(record, TakeBlock):
                yield self._block(record)

    def _block(self, record: TakeBlock) -> ReplayedBlock:
        if record.block != len(self._made):
            raise TakeError(f"block {record.block} follows {len(self._made)} blocks; the take file is not in order")
        self._save_if_needed()
        self._made[record.block] = conditioning = newly_carried(record)
        message, pixels = self._step(record.block, conditioning)
        return ReplayedBlock(
            generation=self._generation,
            block=record.block,
            first_tick=message.first_tick,
            expected=record.digest,
            digest=message.digest,
            pixels=pixels,
            frames=message.frames,
        )

    def _save_if_needed(self) -> None:
        """Take a snapshot here if the take returns to this block later."""
        block = len(self._made)
        if block in self._sources.get(self._generation, ()) and block not in self._snapshots:
            self._generator.send(GenSnapshot(world=WORLD, generation=self._generation))
            self._snapshots[block] = self._expect(GenSaved)[1].tobytes()

    def _restore(self, record: TakeRestore) -> None:
        """Repeat a recovery of the take: restore the same snapshot and make the same blocks again."""
        self._save_if_needed()
        if record.kind == "open":
            self._open()
        else:
            name = self.take.header.model.name
            command = GenRestore(world=WORLD, generation=self._generation, model=name)
            self._generator.send(command, self._snapshots[record.source])
            self._expect(GenDone)
        for block in range(record.source, record.block):
            self._step(block, self._made[block])

    def _open(self) -> None:
        name = self.take.header.model.name
        self._generator.send(
            GenOpen(world=WORLD, generation=self._generation, model=name, seed=self._seed, **fields(self._start))
        )
        self._expect(GenDone)

    def _step(self, block: int, conditioning: Conditioning | None) -> tuple[GenBlock, memoryview]:
        self._generator.send(GenStep(world=WORLD, generation=self._generation, block=block, **new_fields(conditioning)))
        message, part = self._expect(GenBlock)
        assert isinstance(message, GenBlock)
        return message, part

    def _expect(self, kind: type[Message]) -> tuple[Message, memoryview]:
        """Wait for the next answer. Raises `ReplayFailed`, or `GeneratorFailed` if no generator can start."""
        while True:
            if self._generator.watch() == "lost":
                raise ReplayFailed("the generator was lost; see its log")
            received = self._generator.receive()
            if received is None:
                if self._generator.socket is not None:
                    self._generator.socket.poll(100)
                else:
                    time.sleep(0.01)
                continue
            message, part = received
            if isinstance(message, GenError):
                raise ReplayFailed(f"the generator reports: {message.message}")
            if isinstance(message, kind):
                return message, part.buffer if part is not None else memoryview(b"")


def _snapshot_sources(take: Take) -> dict[int, set[int]]:
    """Return the blocks before which a snapshot is needed later, by generation."""
    generation = take.header.generation
    sources: dict[int, set[int]] = {}
    for record in take.records:
        if isinstance(record, TakeReset):
            generation = record.generation
        elif isinstance(record, TakeRestore) and record.kind != "open":
            sources.setdefault(generation, set()).add(record.source)
    return sources
