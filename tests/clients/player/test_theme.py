"""Text on the screen: whatever it is, it is drawn, and what is kept of it stays small."""

from pathlib import Path

import pygame
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longtake.clients.fonts import Fonts
from longtake.clients.player import theme

ODD = (
    *["", "\0", "\u200b", "\ufe0f", "\ud800", "\u0301", "\n", "a\0b", "\u202e", "\uffff"],
    *["\U0010ffff", "\u2764\ufe0f", "\u200d" * 9],
)


@pytest.mark.parametrize("odd", ODD, ids=ascii)
@pytest.mark.parametrize("bold", [False, True])
def test_drawing_never_raises(text: theme.Text, odd: str, bold: bool) -> None:
    for shown in (odd, f"fox{odd}", f"{odd}fox"):
        surface = text.render(shown, theme.NORMAL, bold=bold)
        assert 0 < surface.get_width() < 200
        assert text.width(shown, bold=bold) <= surface.get_width()
        assert text.fit(shown, 20, bold=bold) is not None
        assert isinstance(text.wrap(shown, 20), list)


@settings(deadline=None, max_examples=150)
@given(shown=st.text(st.characters(), max_size=20))
def test_drawing_never_raises_for_any_text(text: theme.Text, shown: str) -> None:
    assert text.render(shown).get_height() > 0
    assert text.width(shown) >= 0
    assert text.width(text.fit(shown, 50)) <= 50


def test_an_installed_font_draws_what_ours_lacks(text: theme.Text, tmp_path: Path) -> None:
    """pygame's own bold font stands for an installed one: it has Greek, which is pretended to be missing."""
    other = tmp_path / "greek.ttf"
    other.write_bytes((Path(pygame.__file__).parent / pygame.font.get_default_font()).read_bytes())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(theme, "has", lambda ranges, character: character.isascii())
        patch.setattr("longtake.clients.fonts.has", lambda ranges, character: True)
        with_font, without = theme.Text(Fonts([tmp_path])), theme.Text(Fonts([]))
        drawn, missing = with_font.render("fox \u03a9\u03a9"), without.render("fox \u03a9\u03a9")
    assert with_font.width("fox ") < drawn.get_width() <= with_font.width("fox \u03a9\u03a9") + 1
    assert pygame.image.tobytes(drawn, "RGBA") != pygame.image.tobytes(missing, "RGBA")


def test_a_font_that_cannot_be_opened_is_left_out(text: theme.Text, tmp_path: Path) -> None:
    (tmp_path / "broken.ttf").write_bytes(b"no font")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("longtake.clients.fonts.has", lambda ranges, character: True)
        fonts = Fonts([tmp_path])
        assert theme.Text(fonts).render("\u4e2d").get_width() > 1
        assert fonts.with_character("\u4e2d") is None


def test_what_is_kept_stays_small(text: theme.Text) -> None:
    for number in range(600):
        text.render(f"{number} " + "what happens next " * 8, theme.LARGE)
        assert text.kept_bytes <= theme.MAX_KEPT_BYTES
    text.render("x" * 4000, theme.LARGE)
    assert text.kept_bytes <= theme.MAX_KEPT_BYTES
    kept = sum(s.get_width() * s.get_height() * 4 for s in text._kept.values())
    assert kept == text.kept_bytes


def test_the_visible_part_of_a_long_line(text: theme.Text) -> None:
    line = "what happens next " * 100
    for left in (0, 1, 500, 4321):
        start, part = text.part(line, left, 300, theme.LARGE)
        assert part in line
        assert start <= left <= start + 40
        assert start + text.width(part, theme.LARGE) >= left + 300
        assert text.width(part, theme.LARGE) < 380
    assert text.part("", 0, 300) == (0, "")
    assert text.part("fox", 0, 300) == (0, "fox")


SHALOM, ARABIC_FOX = "\u05e9\u05dc\u05d5\u05dd", "\u062b\u0639\u0644\u0628"


@pytest.mark.skipif(not theme.can_turn(), reason="this pygame draws from left to right only")
def test_each_part_is_drawn_in_its_direction_with_its_script(text: theme.Text) -> None:
    runs = text._runs(f"fox {ARABIC_FOX} {SHALOM} 12 {SHALOM}", theme.NORMAL, False)
    assert [part for _, part in runs] == ["fox ", f" {SHALOM}", "12", f"{ARABIC_FOX} {SHALOM} "]
    assert runs[0][0] is runs[2][0]
    assert runs[1][0] is not runs[3][0], "Hebrew and Arabic are shaped by different rules"


def test_a_pygame_without_shaping_draws_the_letters_in_order(text: theme.Text, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_turns", False)
    assert [part for _, part in text._runs(f"fox {SHALOM}", theme.NORMAL, False)] == ["fox ", SHALOM[::-1]]


@pytest.mark.skipif(not theme.can_turn(), reason="this pygame draws from left to right only")
def test_arabic_letters_are_joined(text: theme.Text) -> None:
    installed = Fonts()
    if installed.with_character(ARABIC_FOX[0]) is None:
        pytest.skip("no installed font has Arabic letters")
    writer = theme.Text(installed)
    alone = sum(writer.width(letter, theme.LARGE) for letter in ARABIC_FOX)
    assert writer.width(ARABIC_FOX, theme.LARGE) < 0.9 * alone
