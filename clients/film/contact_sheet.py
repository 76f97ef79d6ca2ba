"""A contact sheet: pictures of a take on one page, each with its time and its current cue."""

import bisect
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from longtake.clients.bidi import drawn_order, mirrored
from longtake.clients.film.signature import SIGNATURE
from longtake.clients.film.whole_file import WholeFile
from longtake.clients.fonts import Fonts, has
from longtake.clients.player.timeline_text import clock
from longtake.protocol.errors import LongtakeError
from longtake.protocol.messages import Applied
from longtake.protocol.text import clean

COLUMNS = 6
TILE_WIDTH = 320
"""pixels; smaller pictures are enlarged"""
MARGIN = 14
LINE = 17
CAPTION = 46
"""height of a caption in pixels"""
TITLE = 46
TITLE_SIZE, TEXT_SIZE = 18, 14
"""font sizes in pixels"""
OWN_CHARACTERS = ((0x20, 0x7E), (0xA0, 0xFF), (0x2013, 0x2014), (0x2018, 0x201D), (0x2026, 0x2026))
"""what Pillow's own font surely has"""
Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont
BACKGROUND, TEXT, MUTED, ACCENT = (14, 15, 20), (222, 225, 233), (134, 141, 160), (246, 178, 92)


class SheetError(LongtakeError):
    """A contact sheet cannot be written; the message is one line."""

    def __init__(self, message: str) -> None:
        super().__init__("sheet", message)


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """A picture for the sheet, `[H, W, 3] uint8 RGB`, and the tick it was shown at."""

    tick: int
    pixels: npt.NDArray[np.uint8]


def sample_ticks(ticks: int, count: int) -> set[int]:
    """Return `count` ticks spread evenly over a take of `ticks`, including the first and the last."""
    count = min(count, ticks)
    if count <= 1:
        return {0} if ticks else set()
    return {round(index * (ticks - 1) / (count - 1)) for index in range(count)}


def contact_sheet(samples: list[Sample], timeline: list[Applied], *, fps: int, title: str = "") -> Image.Image:
    """Draw the page. Captions name the current cue, and highlight it in the first picture under it."""
    if not samples:
        raise ValueError("a contact sheet needs at least one picture")
    height, width, _ = samples[0].pixels.shape
    tile = (TILE_WIDTH, round(height * TILE_WIDTH / width))
    columns = min(COLUMNS, len(samples))
    rows = -(-len(samples) // columns)
    top = TITLE if title else MARGIN
    page = Image.new(
        "RGB",
        (MARGIN + columns * (tile[0] + MARGIN), top + rows * (tile[1] + CAPTION + MARGIN // 2)),
        BACKGROUND,
    )
    draw = ImageDraw.Draw(page)
    writer = Writer(draw)
    writer.write((MARGIN, 14), writer.fit(title, page.width - 2 * MARGIN, TITLE_SIZE), TITLE_SIZE, TEXT)
    before: Applied | None = None
    for index, sample in enumerate(samples):
        x = MARGIN + index % columns * (tile[0] + MARGIN)
        y = top + index // columns * (tile[1] + CAPTION + MARGIN // 2)
        page.paste(Image.fromarray(sample.pixels).resize(tile, Image.Resampling.BICUBIC), (x, y))
        mark = in_force(timeline, sample.tick)
        _caption(writer, (x, y + tile[1] + 5), clock(sample.tick // fps), mark, new=mark is not before)
        before = mark
    return page


def in_force(timeline: list[Applied], tick: int) -> Applied | None:
    """Return the newest cue at a tick."""
    return next((mark for mark in reversed(timeline) if mark.tick <= tick), None)


def save(page: Image.Image, path: Path, *, replace: bool = True) -> Path:
    """Save the page as a PNG, whole or not at all, and return its name. Raises `SheetError`.

    Without `replace` a file of that name is kept, and the page takes the first free number.
    """
    try:
        with WholeFile(path, replace=replace) as file:
            about = PngInfo()
            about.add_text("Software", SIGNATURE)
            page.save(file.part, format="PNG", pnginfo=about)
    except OSError as error:
        raise SheetError(f"{path} cannot be written: {error.strerror or error}") from error
    return file.path


class Writer:
    """Writes on a page. Characters that the page's own font lacks are drawn with an installed one that has them."""

    def __init__(self, draw: ImageDraw.ImageDraw, fonts: Fonts | None = None) -> None:
        self._draw = draw
        self._installed = fonts or Fonts()
        self._faces: dict[tuple[Path | None, int], Font] = {}

    def write(self, place: tuple[float, float], text: str, size: int, fill: tuple[int, int, int]) -> None:
        """Write a line from its upper left corner."""
        x, y = place
        for font, part, direction in self._runs(text, size):
            self._draw.text((x, y), part, font=font, fill=fill, direction=direction)
            x += self._draw.textlength(part, font=font, direction=direction)

    def width(self, text: str, size: int) -> float:
        """Return the width of a line in pixels."""
        runs = self._runs(text, size)
        return sum(self._draw.textlength(part, font=font, direction=direction) for font, part, direction in runs)

    def fit(self, text: str, room: float, size: int) -> str:
        """Return `text`, cut with an ellipsis to at most `room` pixels."""
        shown = text[: int(room)]  # a character takes a pixel at least
        if len(shown) == len(text) and self.width(text, size) <= room:
            return text
        count = bisect.bisect_right(range(1, len(shown) + 1), room, key=lambda n: self.width(shown[:n] + "…", size))
        return shown[:count].rstrip("… ") + "…" if count else ""

    def lines(self, text: str, room: float, size: int) -> list[str]:
        """Break a text into at most two lines; the second is cut to fit."""
        words = text.split()
        count = bisect.bisect_right(
            range(1, min(len(words), int(room)) + 1), room, key=lambda n: self.width(" ".join(words[:n]), size)
        )
        if words and not count:  # one long word, or a language without spaces
            head = self.fit(words[0], room, size).rstrip("…")
            return [head, self.fit(text[len(head) :].lstrip(), room, size)] if head else [self.fit(text, room, size)]
        both = (" ".join(words[:count]), self.fit(" ".join(words[count:]), room, size))
        return [line for line in both if line]

    def _runs(self, text: str, size: int) -> list[tuple[Font, str, str | None]]:
        """Split a line into parts from left to right: font, text, and the direction that Pillow is told."""
        runs: list[tuple[Font, str, str | None]] = []
        for whole, right_to_left in drawn_order(clean(text)):
            faces = self._installed.runs(whole, lambda character: has(OWN_CHARACTERS, character))
            for face, part in reversed(faces) if right_to_left else faces:
                font = self._face(face, size)
                # Pillow joins and turns letters with libraqm only, and its own font never uses that.
                turns = right_to_left and getattr(font, "layout_engine", None) == ImageFont.Layout.RAQM
                shown = mirrored(part) if right_to_left and not turns else part
                runs.append((font, shown, "rtl" if turns else None))
        return runs

    def _face(self, face: Path | None, size: int) -> Font:
        if (face, size) not in self._faces:
            try:
                font: Font = ImageFont.truetype(str(face), size) if face else ImageFont.load_default(size)
            except OSError:
                assert face is not None
                self._installed.give_up(face)
                font = ImageFont.load_default(size)
            self._faces[face, size] = font
        return self._faces[face, size]


def _caption(writer: Writer, place: tuple[int, int], time: str, mark: Applied | None, *, new: bool) -> None:
    writer.write(place, time, TEXT_SIZE, MUTED)
    if mark is None:
        return
    label = mark.label if mark.kind != "start" else mark.prompt
    for number, line in enumerate(writer.lines(label, TILE_WIDTH - 56, TEXT_SIZE)):
        writer.write((place[0] + 52, place[1] + number * LINE), line, TEXT_SIZE, ACCENT if new else TEXT)
