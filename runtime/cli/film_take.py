"""`longtake render --take`: makes a take's frames again, block by block, and writes them to a film with its cues."""

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from longtake.protocol.messages import Applied, MarkKind
from longtake.runtime.cli.output import print_json, progress
from longtake.runtime.cli.replay import replay_of
from longtake.runtime.cli.usage import OK, UsageError
from longtake.runtime.takes.file import Take, TakeBlock, TakeCue, TakeCut, TakeEnd, TakeHeader, TakeReset

if TYPE_CHECKING:
    from longtake.runtime.takes.replay import Replay

END = 2**53
"""a tick after every other"""


@dataclass(frozen=True, kw_only=True)
class FilmedTake:
    """The result of filming a take."""

    frames: int
    fps: int
    same: bool
    """whether every frame is the recorded one, bit for bit"""


def film_take(options: argparse.Namespace) -> int:
    """Film the take of the arguments, and print where the film is. Raises LongtakeError."""
    if options.prompt is not None or options.scenario is not None or options.cue:
        raise UsageError("--take films what was recorded: give no prompt, scenario or cue with it")
    if options.record is not None or options.endpoint:
        raise UsageError("--take makes the frames in a process of its own: leave out --record and --endpoint")
    replay = replay_of(options)
    with progress(options.output.name, "block", len(replay.take.blocks), quiet=options.json) as show:
        filmed = write_film(replay, options.output, progress=show)
    if options.json:
        print_json({"video": str(options.output), "frames": filmed.frames, "fps": filmed.fps, "same": filmed.same})
        return OK
    differs = "" if filmed.same else f"; it differs from the recording ({replay.differences() or 'another machine'})"
    seconds = f"{filmed.frames / filmed.fps:g} s"
    print(f"{options.output}  {filmed.frames} frames, {seconds}, from {options.take}{differs}")
    return OK


def write_film(replay: "Replay", path: Path, *, progress: Callable[[int, int], None]) -> FilmedTake:
    """Film a whole take, restarts included. Raises LongtakeError."""
    import numpy as np

    from longtake.clients.film.animation import film_writer

    take, fps, same = replay.take, replay.take.header.model.fps, True
    title = take.header.script.title or take.header.prompt
    starts: list[int] = []
    unshown = unshown_ticks(take)
    with film_writer(path, fps=fps, title=title, frames=shown_frames(take)) as writer:
        for number, block in enumerate(replay.blocks(), start=1):
            same = same and block.same
            starts.append(writer.frames)
            assert replay.model is not None  # other weights than the recorded ones may make pictures of another size
            shape = (block.frames, replay.model.height, replay.model.width, 3)
            for tick, picture in enumerate(np.frombuffer(block.pixels, np.uint8).reshape(shape), block.first_tick):
                if not any(tick in ticks for ticks in unshown.get(block.generation, ())):
                    writer.write(picture)
            progress(number, len(take.blocks))
        writer.mark(marks_of(replay, starts))
        return FilmedTake(frames=writer.frames, fps=fps, same=same)


def unshown_ticks(take: Take) -> dict[int, list[range]]:
    """Return the ticks that were made and never shown, by generation: cut out, or made ahead when the take ended."""
    unshown: dict[int, list[range]] = {}
    generation = take.header.generation
    for record in take.records:
        if isinstance(record, TakeReset):
            generation = record.generation
        elif isinstance(record, TakeCut):
            unshown.setdefault(generation, []).append(range(record.tick, record.to_tick))
        elif isinstance(record, TakeEnd):
            unshown.setdefault(generation, []).append(range(record.tick, END))
    return unshown


def shown_frames(take: Take) -> int:
    """Return how many frames the film of a take has, as far as the recording says."""
    model, generation, frames = take.header.model, take.header.generation, 0
    unshown = unshown_ticks(take)
    for record in take.records:
        if isinstance(record, TakeReset):
            generation = record.generation
        elif isinstance(record, TakeBlock):
            length = model.block_frames if record.block else model.first_block_frames
            first = model.first_block_frames + (record.block - 1) * model.block_frames if record.block else 0
            left_out = unshown.get(generation, ())
            frames += sum(not any(tick in ticks for ticks in left_out) for tick in range(first, first + length))
    return frames


def marks_of(replay: "Replay", starts: list[int]) -> list[Applied]:
    """Return the take's starts and cues, with their ticks counted in the film; `starts` has each block's first."""
    header = replay.take.header
    marks: list[Applied] = []

    def add(kind: MarkKind, label: str, prompt: str, cue: int, place: int) -> None:
        tick = starts[min(place, len(starts) - 1)]
        # Of several cues at one frame the last one counts: a chapter without length is none.
        marks[:] = [mark for mark in marks if mark.tick < tick]
        marks.append(
            Applied(
                world=header.world, generation=0, cue=cue, block=place, tick=tick, kind=kind, label=label, prompt=prompt
            )
        )

    made = 0
    for record in [header, *replay.take.records]:
        if isinstance(record, TakeHeader | TakeReset):
            add("start", "", record.prompt, 0, made)
        elif isinstance(record, TakeCue):
            add(record.kind, record.label, record.prompt, record.cue, made)
        elif isinstance(record, TakeBlock):
            made += 1
    return marks
