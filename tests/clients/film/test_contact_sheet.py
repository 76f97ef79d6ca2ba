"""Contact sheets: which pictures, where they are, and the cue each of them is under."""

import errno
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from longtake.clients.film.contact_sheet import Sample, SheetError, contact_sheet, in_force, sample_ticks, save
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
