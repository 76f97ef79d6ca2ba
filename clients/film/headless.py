"""Films a world without a window: an MP4 file, a contact sheet, or both.

    result = render(server, script=script, seconds=20, video=Path("take.mp4"), sheet=Path("take.png"))

`render` opens a world of its own; `film` films a world that was opened, and perhaps given its cues, by somebody else.
"""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import msgspec

from longtake.clients.film.animation import film_writer
from longtake.clients.film.contact_sheet import Sample, contact_sheet, sample_ticks, save
from longtake.clients.session import Picture, Session, Transport, World
from longtake.protocol.errors import LongtakeError
from longtake.protocol.messages import Applied, Mode, Script

SHEET_PICTURES = 24
RECONNECT_S = 15.0
"""how long to look for a lost server: the line may be back soon, but a restarted server has lost the world"""
FIRST_FRAME_S = 120.0
"""the model may have to be loaded first, and the first block is the slowest"""

FilmProgress = Callable[[int, int], None]
"""called with (frames filmed, frames in all)"""


@dataclass(frozen=True, kw_only=True)
class Filmed:
    """The result of filming a world."""

    ticks: int
    fps: int
    timeline: list[Applied]
    digest: str
    """SHA-256 over all frames; the same script, seed and machine give the same digest"""
    weights: str
    """the first digits of the hash of the model's weights"""
    video: Path | None = None
    sheet: Path | None = None


def render(
    server: str | Transport,
    *,
    seconds: float,
    video: Path | None = None,
    sheet: Path | None = None,
    model: str = "diorama",
    script: Script | None = None,
    prompt: str | None = None,
    seed: int = 0,
    mode: Mode = "offline",
    take: str | None = None,
    prepare: Callable[[World], None] | None = None,
    progress: FilmProgress | None = None,
    replace: bool = True,
) -> Filmed:
    """Open a world, film `seconds` of it and close it. Raises LongtakeError.

    `server` is an endpoint or a transport. `prepare` is called while the world stands at tick 0, for instance to send
    the cues of a scenario; `take` is the name of a take file to record at the server. Without `replace` existing files
    are kept, and what is written takes the first free number.
    """
    with Session.connect(server, client="longtake-render", reconnect_s=RECONNECT_S) as session:
        world = session.open(
            model, prompt=prompt, seed=seed, script=script, mode=mode, delivery="every", paused=mode != "lockstep"
        )
        with world.closing():
            if take is not None:
                world.record_start(take)
            if prepare is not None:
                prepare(world)
            ticks = max(1, round(seconds * world.info.model.fps))
            filmed = film(world, ticks, video=video, sheet=sheet, progress=progress, replace=replace)
            if take is not None:
                world.record_stop()
        return filmed


def film(
    world: World,
    ticks: int,
    *,
    video: Path | None = None,
    sheet: Path | None = None,
    progress: FilmProgress | None = None,
    replace: bool = True,
) -> Filmed:
    """Film `ticks` frames of a world that is subscribed to with `every` and stands paused at a tick.

    The world is left at its tick in lockstep, and paused otherwise. Without `replace` existing files are kept, and the
    film and its sheet take the first free number.
    """
    fps = world.info.model.fps
    title = world.info.script.title or world.info.prompt
    wanted = sample_ticks(ticks, SHEET_PICTURES) if sheet is not None else set()
    samples: list[Sample] = []
    first = 0
    digest = hashlib.sha256()
    with ExitStack() as stack:
        writer = None
        if video is not None:
            writer = stack.enter_context(film_writer(video, fps=fps, title=title, replace=replace, frames=ticks))
        for number, picture in enumerate(pictures(world, ticks)):
            first = picture.header.tick if number == 0 else first
            digest.update(picture.pixels.tobytes())
            if writer is not None:
                writer.write(picture.pixels)
            if number in wanted:
                samples.append(Sample(tick=number, pixels=picture.pixels))
            if progress is not None:
                progress(number + 1, ticks)
        marks = since(world.timeline, first, ticks)
        if writer is not None:
            writer.mark(marks)
    if writer is not None:
        video = writer.path
    if sheet is not None:
        beside = sheet.with_stem(video.stem) if video is not None and not replace else sheet
        sheet = save(contact_sheet(samples, marks, fps=fps, title=title), beside, replace=replace)
    return Filmed(
        ticks=ticks,
        fps=fps,
        timeline=marks,
        digest=digest.hexdigest(),
        weights=world.info.model.weights,
        video=video,
        sheet=sheet,
    )


def since(timeline: list[Applied], first: int, ticks: int) -> list[Applied]:
    """Return the marks of part of a take, counted from its first tick; the cue at its start comes first."""
    before = [mark for mark in timeline if mark.tick <= first][-1:]
    inside = [mark for mark in timeline if first < mark.tick < first + ticks]
    return [msgspec.structs.replace(mark, tick=max(0, mark.tick - first)) for mark in [*before, *inside]]


def pictures(world: World, ticks: int) -> Iterator[Picture]:
    """Yield the next `ticks` pictures of a paused world, each tick once and in order, without held frames."""
    if world.info.mode == "lockstep":
        block = world.info.model.block_frames
        for start in range(0, ticks, block):
            yield from world.advance(min(block, ticks - start))
        return
    world.resume()
    expected: int | None = None
    count = 0
    while count < ticks:
        picture = world.next_picture(FIRST_FRAME_S)
        header = picture.header
        if header.held or header.stale or (expected is not None and header.tick < expected):
            continue
        if expected is not None and header.tick > expected:
            raise LongtakeError(
                "missed", f"frames {expected} to {header.tick - 1} of the take were lost; render it again"
            )
        expected = header.tick + 1
        count += 1
        yield picture
    world.pause()
