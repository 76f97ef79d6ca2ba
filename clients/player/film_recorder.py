"""Films a world while it is played: a second connection takes every frame, and a thread writes them to an MP4 file.

    recorder = FilmRecorder(connect, world="w1", path=Path("takes/fox.mp4"), done=show)
    recorder.start()
    ...
    recorder.stop((0, 480))   # returns at once; `done` is called when the file is there

The player's own frames are the newest ones and leave some out. This connection asks for every one, so none is lost.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from longtake.clients.film.video import VideoWriter
from longtake.clients.session import Picture, Session, World
from longtake.protocol.errors import LongtakeError
from longtake.protocol.messages import Applied, Frame

logger = logging.getLogger(__name__)

BUFFER_FRAMES = 512
"""frames that may wait for the encoder: half a minute of film"""
POLL_S = 0.03
LAST_FRAME_S = 2.0
"""how long to wait for the last frame, which was shown already"""
FINISH_WITHIN_S = 120.0
"""how long the player waits for the last frames to be encoded when it is closed"""


@dataclass(kw_only=True)
class FilmTimeline:
    """Places cues in a film that begins anywhere in a take and goes on through restarts of it."""

    frames: int = 0
    """frames of the film so far"""
    _starts: dict[int, tuple[int, int]] = field(default_factory=dict)
    """by generation: its first tick in the film, and the film's frame there"""
    _last: tuple[int, int] = (-1, -1)

    def take(self, header: Frame) -> bool:
        """Count a frame; return False for one that the film has already."""
        if header.held or header.stale or (header.generation, header.tick) <= self._last:
            return False
        self._last = (header.generation, header.tick)
        self._starts.setdefault(header.generation, (header.tick, self.frames))
        self.frames += 1
        return True

    def marks(self, timeline: list[Applied]) -> list[Applied]:
        """Return the marks with their ticks counted in the film; what is in force at its start comes first."""
        placed: dict[tuple[int, int], Applied] = {}
        for mark in timeline:
            if mark.generation not in self._starts:
                continue
            first, offset = self._starts[mark.generation]
            tick = max(0, mark.tick - first) + offset
            # Of the cues before the start only the last one still counts: a later one takes its place.
            placed[mark.generation, tick] = msgspec.structs.replace(mark, tick=tick)
        return sorted(placed.values(), key=lambda mark: mark.tick)


class FilmRecorder:
    """See the module's docstring."""

    def __init__(
        self, connect: Callable[[], Session], *, world: str, path: Path, done: Callable[[str, bool], None]
    ) -> None:
        """`done` is called on the film's thread with one line, and whether the film is there."""
        self.path = path
        self._connect = connect
        self._world = world
        self._done = done
        self._stop = threading.Event()
        self._last = (0, 0)
        self._marks: dict[tuple[int, int], Applied] = {}
        self._thread = threading.Thread(target=self._run, name="player-film", daemon=True)

    def start(self) -> None:
        """Begin with the next frame that the server shows."""
        self._thread.start()

    def stop(self, last: tuple[int, int]) -> None:
        """End with the frame of this generation and tick. The file follows when the waiting frames are encoded."""
        self._last = last
        self._stop.set()

    def wait(self, timeout_s: float = FINISH_WITHIN_S) -> None:
        """Wait until the file is there."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        try:
            frames = self._film()
        except (LongtakeError, OSError) as error:
            logger.info("no film: %s", error)
            self._done(f"no film: {error}", False)
        else:
            self._done(f"Film: {self.path} ({frames} frames)", True)

    def _film(self) -> int:
        """Write the film; return its length in frames."""
        with self._connect() as session:
            world = session.join(self._world, role="viewer", delivery="every", buffer_frames=BUFFER_FRAMES)
            info, timeline = world.info, FilmTimeline()
            title = info.script.title or info.prompt
            with VideoWriter(self.path, fps=info.model.fps, title=title, replace=False, live=True) as writer:
                for picture in self._pictures(world):
                    if timeline.take(picture.header):
                        writer.write(picture.pixels)
                    self._note(world)
                writer.mark(timeline.marks(list(self._marks.values())))
            self.path = writer.path
        return timeline.frames

    def _pictures(self, world: World) -> Iterator[Picture]:
        """Yield every frame up to the last one that is wanted."""
        waited_s = 0.0
        while world.no_more_pictures is None and waited_s < LAST_FRAME_S:
            picture = world.take_picture()
            if picture is None:
                time.sleep(POLL_S)
                waited_s += POLL_S if self._stop.is_set() else 0.0
                continue
            yield picture
            if self._stop.is_set() and (picture.header.generation, picture.header.tick) >= self._last:
                return

    def _note(self, world: World) -> None:
        """Keep the marks: a restart of the take clears the world's own list."""
        for mark in world.timeline:
            self._marks[mark.generation, mark.cue] = mark
