"""Contact sheets: which pictures, where they are, and the cue each of them is under."""

import errno
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw

from longtake.clients.film.contact_sheet import (
    BACKGROUND,
    Sample,
    SheetError,
    Writer,
    contact_sheet,
    in_force,
    sample_ticks,
    save,
)
from longtake.clients.film.signature import is_ours
from longtake.clients.fonts import Fonts
from tests.clients.film.pictures import mark, picture


def test_a_sheet_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Image.new("RGB", (8, 8))
    save(page, tmp_path / "new" / "x.png")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.png"]

    def full(self: Any, path: Path, **_: Any) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(SheetError, match=r"y\.png cannot be written: No space left on device$"):
        save(page, tmp_path / "new" / "y.png")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.png"]


def test_samples_are_spread_over_the_take() -> None:
    assert sample_ticks(100, 3) == {0, 50, 99}
    assert sample_ticks(2, 24) == {0, 1}
    assert sample_ticks(1, 24) == {0}


def test_the_sheet_shows_each_sample_in_its_place() -> None:
    samples = [Sample(tick=tick, pixels=picture(tick * 30)) for tick in range(8)]
    page = contact_sheet(samples, [mark(0, "", "start"), mark(4, "night")], fps=16, title="A Fox")
    assert page.width == 14 + 6 * (320 + 14)
    assert page.getpixel((14 + 160, 46 + 90)) == (0, 0, 0)
    assert page.getpixel((14 + 334 + 160, 46 + 90)) == (30, 30, 30)
    assert page.getpixel((14 + 160, 46 + 192 + 46 + 7 + 90)) == (180, 180, 180)


def test_the_cue_in_force() -> None:
    timeline = [mark(0, "", "start"), mark(8, "night"), mark(16, "rain")]
    assert [getattr(in_force(timeline, tick), "label", None) for tick in (0, 7, 8, 100)] == ["", "", "night", "rain"]
    assert in_force([], 3) is None


@pytest.mark.parametrize(
    "prompt", ["what happens next " * 111, "x" * 2000, "\u4e2d" * 2000, "\0\ufe0f\ud800", "fox \u2764\ufe0f"],
    ids=["words", "one word", "no spaces", "nothing to draw", "a heart"],
)  # fmt: skip
def test_captions_of_any_length_and_script(prompt: str, monkeypatch: pytest.MonkeyPatch) -> None:
    measured = 0

    def counted(self: ImageDraw.ImageDraw, *arguments: Any, **named: Any) -> float:
        nonlocal measured
        measured += 1
        return length(self, *arguments, **named)

    length = ImageDraw.ImageDraw.textlength
    monkeypatch.setattr(ImageDraw.ImageDraw, "textlength", counted)
    samples = [Sample(tick=tick, pixels=picture(9)) for tick in range(24)]
    page = contact_sheet(samples, [mark(0, prompt, "prompt")], fps=16, title=prompt)
    assert measured < 24 * 100
    right = np.asarray(page)[:46, -14:]
    assert (right == BACKGROUND).all(), "the title ends within the page"


def test_lines_are_cut_to_fit() -> None:
    writer = Writer(ImageDraw.Draw(Image.new("RGB", (8, 8))))
    for text in ("one two three four five six seven eight nine ten " * 9, "x" * 500, "ab"):
        lines = writer.lines(text, 100, 14)
        assert 1 <= len(lines) <= 2
        assert all(writer.width(line, 14) <= 100 for line in lines)
        assert text.startswith(lines[0])
    assert writer.lines("", 100, 14) == []


@pytest.mark.parametrize("installed", [None, []])
def test_a_title_of_both_directions_is_written(installed: list[Path] | None) -> None:
    page = Image.new("RGB", (400, 40))
    writer = Writer(ImageDraw.Draw(page), Fonts(installed))
    hebrew = "\u05e9\u05dc\u05d5\u05dd"
    writer.write((4, 4), f"take 3: {hebrew} (fox) 12.5", 20, (255, 255, 255))
    assert np.asarray(page).any()
    assert writer.width(f"fox {hebrew}", 20) > writer.width("fox ", 20)
    assert next(part for _, part, _ in writer._runs(f"fox {hebrew}!", 20)) == "fox "


def test_a_sheet_is_known_as_ours(tmp_path: Path) -> None:
    save(Image.new("RGB", (8, 8)), tmp_path / "ours.png")
    Image.new("RGB", (8, 8)).save(tmp_path / "other.png")
    assert is_ours(tmp_path / "ours.png")
    assert not is_ours(tmp_path / "other.png")
