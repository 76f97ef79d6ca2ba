"""Writes pictures to an animated GIF or WebP file, for pages that show no video. It has no chapters or subtitles."""

from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from longtake.clients.film.signature import SIGNATURE
from longtake.clients.film.video import VideoError, VideoWriter
from longtake.clients.film.whole_file import WholeFile
from longtake.clients.film.writer import FilmWriter
from longtake.protocol.messages import Applied

ANIMATIONS: Final = {".gif": "GIF", ".webp": "WEBP"}
"""suffixes, and what Pillow calls the formats"""
FILMS: Final = (".mp4", *ANIMATIONS)
"""suffixes of everything that a film can be written to"""
MAX_FRAMES = 2400
"""limit of frames, which are kept until the end: two and a half minutes at 16 fps"""
MARK = SIGNATURE.encode()
GIF_MS = 10
"""the unit of a GIF's times"""


class AnimationWriter(FilmWriter):
    """Like `VideoWriter`, for the formats of `ANIMATIONS`."""

    def __init__(self, path: Path, *, fps: int, replace: bool = True, frames: int = 0) -> None:
        """Without `replace` a file of that name is kept, and the film takes the first free number.

        `frames` is how many there will be, if that is known. Raises `VideoError` if they are too many.
        """
        self._path = path
        self._file = WholeFile(path, replace=replace)
        self._fps = fps
        self._pictures: list[Image.Image] = []
        if frames > MAX_FRAMES:
            raise self._too_long()

    @property
    def path(self) -> Path:
        """The film's name, settled when it is closed."""
        return self._file.path

    @property
    def frames(self) -> int:
        """Frames written so far."""
        return len(self._pictures)

    def write(self, pixels: npt.NDArray[np.uint8]) -> None:
        """Append a picture, `[H, W, 3] uint8 RGB`. Raises `VideoError` for a film that is too long."""
        if self.frames == MAX_FRAMES:
            raise self._too_long()
        picture = Image.fromarray(np.ascontiguousarray(pixels))
        gif = self._path.suffix.lower() == ".gif"
        self._pictures.append(picture.quantize(method=Image.Quantize.FASTOCTREE) if gif else picture)

    def mark(self, timeline: Iterable[Applied]) -> None:
        """Do nothing: an animation has no place for cues."""

    def close(self) -> None:
        """Write the file and put it in place. Raises `VideoError`."""
        if not self._pictures:
            raise VideoError(f"{self._path}: there was no frame to write")
        first, *others = self._pictures
        kind = ANIMATIONS[self._path.suffix.lower()]
        try:
            with self._file as file:
                first.save(
                    file.part,
                    format=kind,
                    save_all=True,
                    append_images=others,
                    duration=self._durations(kind),
                    loop=0,
                    **({"quality": 80, "method": 2, "xmp": MARK} if kind == "WEBP" else {"comment": MARK}),
                )
        except OSError as error:
            raise VideoError(f"{self._path} cannot be written: {error.strerror or error}") from error

    def discard(self) -> None:
        """Forget the pictures; nothing is written before the end."""
        self._pictures.clear()

    def _too_long(self) -> VideoError:
        return VideoError(f"{self._path}: an animation has at most {MAX_FRAMES // self._fps} s; write an MP4 instead")

    def _durations(self, kind: str) -> list[int]:
        """Return the time of each frame, ms, so that rounding does not add up."""
        unit = GIF_MS if kind == "GIF" else 1
        ends = [round(1000 * number / self._fps / unit) * unit for number in range(self.frames + 1)]
        return [after - before for before, after in pairwise(ends)]


def film_writer(path: Path, *, fps: int, title: str = "", replace: bool = True, frames: int = 0) -> FilmWriter:
    """Return the writer for a path, by its suffix. Raises `VideoError` for one that no film has.

    Without `replace` a file of that name is kept, and the film takes the first free number. `frames` is how many there
    will be, if that is known: more than a format can hold are refused before the first one is made.
    """
    suffix = path.suffix.lower()
    if suffix in ANIMATIONS:
        return AnimationWriter(path, fps=fps, replace=replace, frames=frames)
    if suffix != ".mp4":
        raise VideoError(f"{path} is no film; its name has to end in {', '.join(FILMS)}")
    return VideoWriter(path, fps=fps, title=title, replace=replace)
