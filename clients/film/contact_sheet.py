"""A contact sheet: pictures of a take on one page, each with its time and its current cue."""

from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageFont

from longtake.clients.film.whole_file import WholeFile
from longtake.clients.player.timeline_text import clock
from longtake.protocol.errors import LongtakeError
from longtake.protocol.messages import Applied

COLUMNS = 6
TILE_WIDTH = 320
"""pixels; smaller pictures are enlarged"""
MARGIN = 14
LINE = 17
CAPTION = 46
"""height of a caption in pixels"""
TITLE = 46
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
    draw.text((MARGIN, 14), title, font=ImageFont.load_default(18), fill=TEXT)
    before: Applied | None = None
    for index, sample in enumerate(samples):
        x = MARGIN + index % columns * (tile[0] + MARGIN)
        y = top + index // columns * (tile[1] + CAPTION + MARGIN // 2)
        page.paste(Image.fromarray(sample.pixels).resize(tile, Image.Resampling.BICUBIC), (x, y))
        mark = in_force(timeline, sample.tick)
        _caption(draw, (x, y + tile[1] + 5), clock(sample.tick // fps), mark, new=mark is not before)
        before = mark
    return page


def in_force(timeline: list[Applied], tick: int) -> Applied | None:
    """Return the newest cue at a tick."""
    return next((mark for mark in reversed(timeline) if mark.tick <= tick), None)


def save(page: Image.Image, path: Path) -> None:
    """Save the page as a PNG, whole or not at all. Raises `SheetError`."""
    try:
        with WholeFile(path) as file:
            page.save(file.part, format="PNG")
    except OSError as error:
        raise SheetError(f"{path} cannot be written: {error.strerror or error}") from error


def _caption(draw: ImageDraw.ImageDraw, place: tuple[int, int], time: str, mark: Applied | None, *, new: bool) -> None:
    font = ImageFont.load_default(14)
    draw.text(place, time, font=font, fill=MUTED)
    if mark is None:
        return
    label = mark.label if mark.kind != "start" else mark.prompt
    for number, line in enumerate(_lines(draw, label, TILE_WIDTH - 56, font)):
        place_of_line = (place[0] + 52, place[1] + number * LINE)
        draw.text(place_of_line, line, font=font, fill=ACCENT if new else TEXT)


def _lines(draw: ImageDraw.ImageDraw, label: str, room: int, font: Font) -> list[str]:
    """Break a label into at most two lines; the second is cut to fit."""
    words = label.split()
    first = ""
    while words and draw.textlength(f"{first} {words[0]}".strip(), font=font) <= room:
        first = f"{first} {words.pop(0)}".strip()
    rest = " ".join(words)
    while rest and draw.textlength(rest, font=font) > room:
        rest = rest[:-2].rstrip("… ") + "…"
    return [line for line in (first, rest) if line]
