"""Which installed font draws a character; on fonts that the test writes itself."""

import struct
from pathlib import Path

import pytest

from longtake.clients import fonts
from longtake.clients.fonts import Fonts, coverage, has

HAN, HANGUL, EMOJI = "\u4e2d", "\ud55c", "\U0001f98a"


def font(
    path: Path, *characters: str, form: int = 4, platform: tuple[int, int] = (3, 1), collection: bool = False
) -> Path:
    """Write a file with nothing but a character table."""
    codes = sorted(map(ord, characters))
    if form == 4:
        segments = [*((code, code) for code in codes), (0xFFFF, 0xFFFF)]
        ends = struct.pack(f">{len(segments)}H", *(high for _, high in segments))
        starts = struct.pack(f">{len(segments)}H", *(low for low, _ in segments))
        rest = bytes(4 * len(segments))
        table = struct.pack(">HHHHHHH", 4, 0, 0, 2 * len(segments), 0, 0, 0) + ends + bytes(2) + starts + rest
    else:
        groups = b"".join(struct.pack(">III", code, code, 1) for code in codes)
        table = struct.pack(">HHIII", 12, 0, 16 + len(groups), 0, len(codes)) + groups
    cmap = struct.pack(">HHHHI", 0, 1, *platform, 12) + table
    start = 16 if collection else 0
    head = struct.pack(">4sIII", b"ttcf", 0x10000, 1, start) if collection else b""
    directory = struct.pack(">IHHHH", 0x10000, 1, 0, 0, 0)
    directory += struct.pack(">4sIII", b"cmap", 0, start + 28, len(cmap))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(head + directory + cmap)
    return path


@pytest.mark.parametrize("collection", [False, True])
@pytest.mark.parametrize(("form", "platform"), [(4, (3, 1)), (12, (3, 10)), (12, (0, 4))])
def test_the_characters_of_a_font(tmp_path: Path, form: int, platform: tuple[int, int], collection: bool) -> None:
    path = font(tmp_path / "a.ttf", "a", HAN, form=form, platform=platform, collection=collection)
    assert [character for character in ("a", "b", HAN, "\uffff") if has(coverage(path), character)] == ["a", HAN]


def test_characters_beyond_the_first_plane(tmp_path: Path) -> None:
    assert has(coverage(font(tmp_path / "a.otf", EMOJI, form=12, platform=(3, 10))), EMOJI)


@pytest.mark.parametrize("data", [b"", b"abc", b"ttcf", bytes(12) + b"\xff" * 40, b"\0\1\0\0\0\1" + bytes(6) + b"cmap"])
def test_a_file_that_is_no_font_has_no_characters(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.ttf").write_bytes(data)
    assert list(coverage(tmp_path / "a.ttf")) == []
    assert list(coverage(tmp_path / "none.ttf")) == []


def test_a_plain_face_comes_before_bold_and_unknown_ones(tmp_path: Path) -> None:
    font(tmp_path / "NotoSansCJK-Bold.ttc", HAN)
    font(tmp_path / "Aaa-Regular.ttf", HAN)
    plain = font(tmp_path / "deep" / "NotoSansCJK-Regular.ttc", HAN)
    font(tmp_path / "LastResort.ttf", HAN, HANGUL)
    fonts = Fonts([tmp_path, tmp_path / "nowhere"])
    assert fonts.with_character(HAN) == plain
    assert fonts.with_character(HANGUL) is None


def test_a_text_keeps_the_font_it_has(tmp_path: Path) -> None:
    font(tmp_path / "NotoSansA.ttf", HAN)
    both = font(tmp_path / "zz.ttf", HAN, HANGUL)
    fonts = Fonts([tmp_path])
    assert fonts.with_character(HANGUL) == both
    assert fonts.with_character(HAN) == both


def test_a_text_is_split_where_the_font_changes(tmp_path: Path) -> None:
    han, hangul = font(tmp_path / "a.ttf", HAN), font(tmp_path / "b.ttf", HANGUL)
    fonts = Fonts([tmp_path])
    text = f"fox {HAN}{HAN} {HANGUL}\u0301 fox"
    assert fonts.runs(text, str.isascii) == [
        (None, "fox "), (han, f"{HAN}{HAN} "), (hangul, f"{HANGUL}\u0301 "), (None, "fox")
    ]  # fmt: skip
    fonts.give_up(han)
    assert fonts.runs(HAN, str.isascii) == [(None, HAN)]


def test_what_fontconfig_lists_counts_wherever_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    far = font(tmp_path / "far away" / "a.ttf", HAN)
    program = tmp_path / "bin" / "fc-list"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\nprintf '%s\\n' '{far}' /no/such.pcf.gz /no/such.ttf\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")
    monkeypatch.setattr(fonts, "font_folders", lambda: [])
    assert Fonts().with_character(HAN) == far
    assert Fonts([]).with_character(HAN) is None, "whoever names folders means these"
    program.write_text("#!/bin/sh\nexit 3\n")
    assert Fonts().with_character(HAN) is None
