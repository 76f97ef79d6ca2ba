"""Writes pictures to an MP4 file, with the take's cues as chapters and the prompts as a subtitle track.

with VideoWriter(Path("take.mp4"), fps=16) as video:
    for picture in world.frames():
        video.write(picture.pixels)
    video.mark(world.timeline)
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from longtake.clients.film.signature import SIGNATURE
from longtake.clients.film.whole_file import WholeFile
from longtake.clients.film.writer import FilmWriter
from longtake.protocol.errors import LongtakeError
from longtake.protocol.messages import Applied

log = logging.getLogger(__name__)

LEAST_HEIGHT = 480
"""smaller pictures are enlarged by an integer factor, because video players blur small videos"""
CRF = 16
"""x264's quality: lower is better and larger; 16 keeps thin rain"""
MICROSECONDS = Fraction(1, 1_000_000)
MAX_CHAPTER_TITLE = 80


class VideoError(LongtakeError):
    """A video cannot be written; the message is one line."""

    def __init__(self, message: str) -> None:
        super().__init__("video", message)


class VideoWriter(FilmWriter):
    """One MP4 file being written. It appears under its name only when it is complete."""

    def __init__(
        self,
        path: Path,
        *,
        fps: int,
        least_height: int = LEAST_HEIGHT,
        title: str = "",
        replace: bool = True,
        live: bool = False,
    ) -> None:
        """Without `replace` a file of that name is kept, and the film takes the first free number.

        A `live` film leaves processor time to the world that it films: it takes about half as much, and nearly
        twice the room.
        """
        self._av = _import_av()
        self._path = path
        self._file = WholeFile(path, replace=replace)
        self._fps = fps
        self._least_height = least_height
        self._title = title
        self._live = live
        self._reformatter = self._av.video.reformatter.VideoReformatter()
        self._container: Any = None
        self._video: Any = None
        self._text: Any = None
        self._marks: list[Applied] = []
        self._frames = 0

    @property
    def path(self) -> Path:
        """The film's name, settled when it is closed."""
        return self._file.path

    @property
    def frames(self) -> int:
        """Frames written so far."""
        return self._frames

    def write(self, pixels: npt.NDArray[np.uint8]) -> None:
        """Append a picture, `[H, W, 3] uint8 RGB`. All pictures have the size of the first. Raises `VideoError`."""
        with self._named():
            if self._container is None:
                self._open(pixels.shape[0], pixels.shape[1])
            frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
            # One for all: a frame's own `reformat` sets up a new one each time, which takes five times as long.
            frame = self._reformatter.reformat(
                frame, self._video.width, self._video.height, "yuv420p", interpolation="BICUBIC"
            )
            frame.pts = self.frames
            self._container.mux(self._video.encode(frame))
        self._frames += 1

    def mark(self, timeline: Iterable[Applied]) -> None:
        """Set the cues of the take. The last call before the end counts."""
        self._marks = [mark for mark in timeline if mark.tick < self.frames]

    def close(self) -> None:
        """Finish the file and put it in place. Raises `VideoError`, and then leaves nothing behind."""
        if self._container is None:
            raise VideoError(f"{self._path}: there was no frame to write")
        try:
            with self._named():
                self._container.mux(self._video.encode(None))
                self._write_marks()
                self._container.close()
                self._file.land()
            self._container = None
        finally:
            self.discard()

    def discard(self) -> None:
        """Delete what was written, unless the file is finished."""
        container, self._container = self._container, None
        try:
            if container is not None:
                container.close()
        except (OSError, self._av.FFmpegError) as error:
            log.debug("%s: %s", self._path, error)  # the file is deleted anyway
        finally:
            self._file.discard()

    @contextmanager
    def _named(self) -> Iterator[None]:
        """Turn a failure into one line that names the file."""
        try:
            yield
        except (OSError, self._av.FFmpegError) as error:
            raise VideoError(f"{self._path} cannot be written: {error.strerror or error}") from error

    def _open(self, height: int, width: int) -> None:
        factor = max(1, -(-self._least_height // height))
        self._file.begin()
        # an absolute path: FFmpeg takes what stands before a colon in `fox: at dawn/x` for a protocol
        self._container = self._av.open(
            str(self._file.part.absolute()), "w", format="mp4", options={"movflags": "+faststart"}
        )
        self._container.metadata["comment"] = SIGNATURE
        if self._title:
            self._container.metadata["title"] = self._title
        self._video = self._container.add_stream(
            "libx264", rate=self._fps, options={"crf": str(CRF), "preset": "superfast" if self._live else "veryfast"}
        )
        if self._live:
            self._video.codec_context.thread_count = 1
        # 4:2:0 colour needs even sizes
        self._video.width, self._video.height = (-(-side * factor // 2) * 2 for side in (width, height))
        self._video.pix_fmt = "yuv420p"
        self._video.codec_context.time_base = Fraction(1, self._fps)
        self._text = self._container.add_stream("mov_text")
        self._text.codec_context.subtitle_header = ASS_HEADER

    def _write_marks(self) -> None:
        marks = self._marks
        starts = [*(mark.tick for mark in marks), self.frames]
        spans = [(mark, end) for mark, end in zip(marks, starts[1:], strict=False) if end > mark.tick]
        self._container.set_chapters(
            [
                {
                    "id": number,
                    "start": mark.tick,
                    "end": end,
                    "time_base": Fraction(1, self._fps),
                    "metadata": {"title": (mark.label or mark.kind)[:MAX_CHAPTER_TITLE]},
                }
                for number, (mark, end) in enumerate(spans)
            ]
        )
        for number, (mark, end) in enumerate(spans):
            start_us, end_us = (round(tick * 1_000_000 / self._fps) for tick in (mark.tick, end))
            dialogue = f"{number},0,Default,,0,0,0,,{plain(mark.prompt)}".encode()
            subtitle = self._av.subtitles.subtitle.SubtitleSet.create(
                text=dialogue, start=0, end=end_us - start_us, pts=start_us
            )
            packet = self._text.codec_context.encode_subtitle(subtitle)
            packet.stream = self._text
            packet.time_base = MICROSECONDS
            packet.pts = packet.dts = start_us
            packet.duration = end_us - start_us
            self._container.mux(packet)


ASS_HEADER = (
    b"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\n"
    b"Format: Name, Fontname, Fontsize, PrimaryColour\nStyle: Default,Sans,16,&Hffffff\n\n"
    b"[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
)
"""the style header that the subtitle encoder needs"""


def plain(text: str) -> str:
    """Return `text` without the characters that subtitles read as commands."""
    return " ".join(text.split()).replace("{", "(").replace("}", ")").replace("\\", "/")


def _import_av() -> Any:
    try:
        import av
        import av.subtitles.subtitle
        import av.video.reformatter
    except ImportError as error:
        raise VideoError("writing a video needs PyAV: pip install 'longtake[host]'") from error
    return av
