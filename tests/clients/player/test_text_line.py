"""Carets, marks and scrolling in lines of both directions, by their places in pixels."""

import pygame
import pytest

from longtake.clients.player import theme
from longtake.clients.player.prompt import PromptLine
from longtake.clients.player.prompt_bar import PromptBar
from longtake.clients.player.state import PlayerState
from longtake.clients.player.text_line import TextLine

SHALOM, FOX = "\u05e9\u05dc\u05d5\u05dd", "\u062b\u0639\u0644\u0628"
ALEF = "\u05d0"
BAR = pygame.Rect(20, 10, 600, 36)
INNER_LEFT, INNER_RIGHT = BAR.left + 14, BAR.right - 14


def line(text: theme.Text, shown: str) -> TextLine:
    return TextLine(text, shown, theme.LARGE)


def width(text: theme.Text, shown: str) -> float:
    return text.extent(shown, theme.LARGE)


def test_in_a_line_from_left_to_right_the_caret_follows_the_text(text: theme.Text) -> None:
    for cursor in range(len("a fox, 12 %") + 1):
        assert line(text, "a fox, 12 %").caret(cursor) == width(text, "a fox, 12 %"[:cursor])


@pytest.mark.parametrize("word", [SHALOM, f"{SHALOM} {SHALOM}, {SHALOM}"], ids=ascii)
def test_in_hebrew_the_caret_is_left_of_the_letter_before(text: theme.Text, word: str) -> None:
    measured = line(text, word)
    assert measured.caret(0) == measured.width
    assert measured.caret(len(word)) == 0
    places = [measured.caret(cursor) for cursor in range(len(word) + 1)]
    assert places == sorted(places, reverse=True)
    assert places == pytest.approx([measured.width - width(text, word[:cursor]) for cursor in range(len(word) + 1)])


def test_at_the_end_of_arabic_the_caret_is_at_the_left_edge(text: theme.Text) -> None:
    assert line(text, FOX).caret(len(FOX)) == 0
    assert line(text, f"{FOX} ").caret(len(FOX) + 1) == 0


@pytest.mark.parametrize(
    ("shown", "cursor", "left_of_it"),
    [
        (f"fox {SHALOM}", 8, "fox "),
        (f"fox {SHALOM}", 5, f"fox {SHALOM[1:]}"),
        (f"fox {SHALOM}", 2, "fo"),
        (f"fox {SHALOM} ", 9, "fox "),  # the space goes to the left of the word when the next letter is typed
        (f"fox {SHALOM} x", 10, f"fox {SHALOM} x"),
        (f"{SHALOM} fox", 8, "fox"),  # drawn as "fox " and the word at its right
        (f"{SHALOM} fox", 6, "f"),
        (f"{SHALOM} fox", 2, f"fox {SHALOM[2:]}"),
        (f"{SHALOM} 12", 7, "12"),
        (f"{SHALOM} 12", 6, "1"),
        (f"{SHALOM} 12 ", 8, ""),
        (f"12 {SHALOM}", 0, f"12 {SHALOM}"),
        (f"{SHALOM}!", 5, ""),
        ("", 0, ""),
    ],
    ids=ascii,
)
def test_in_mixed_text_the_caret_has_its_letters_on_its_left(
    text: theme.Text, shown: str, cursor: int, left_of_it: str
) -> None:
    assert line(text, shown).caret(cursor) == pytest.approx(width(text, left_of_it), abs=0.51)


@pytest.mark.parametrize("base", [SHALOM, f"fox {SHALOM} fox", f"{SHALOM} fox {SHALOM}", "fox"], ids=ascii)
def test_the_next_letter_appears_at_the_caret(text: theme.Text, base: str) -> None:
    """Type a letter like the one before it: its own left edge is where the caret stood."""
    for cursor in range(1, len(base) + 1):
        before = base[cursor - 1]
        if before.isalpha():
            letter = "o" if before.isascii() else ALEF
            after = line(text, base[:cursor] + letter + base[cursor:])
            assert after.spans(cursor, cursor + 1)[0][0] == pytest.approx(line(text, base).caret(cursor), abs=0.51)


def test_a_span_over_two_directions_has_two_pieces(text: theme.Text) -> None:
    measured = line(text, f"fox {SHALOM} fox")
    assert len(measured.spans(0, 3)) == 1
    assert measured.spans(4, 8) == [
        pytest.approx((width(text, "fox "), width(text, "fox ") + width(text, SHALOM)), abs=0.51)
    ]
    assert len(measured.spans(2, 6)) == 2


def test_the_left_arrow_goes_on_in_a_line_from_right_to_left() -> None:
    prompt = PromptLine(text=SHALOM, cursor=1)
    prompt.move_sideways(-1)
    assert prompt.cursor == 2
    prompt.move_sideways(1)
    assert prompt.cursor == 1
    prompt = PromptLine(text="fox", cursor=1)
    prompt.move_sideways(-1)
    assert prompt.cursor == 0


def drawn(text: theme.Text, prompt: PromptLine) -> tuple[PromptBar, pygame.Surface]:
    bar, surface = PromptBar(text), pygame.Surface((640, 60))
    bar.draw(surface, BAR, PlayerState(), prompt, now=0.9)  # the caret is out
    return bar, surface


def test_the_caret_stands_where_the_window_shows_it(text: theme.Text) -> None:
    bar, _ = drawn(text, PromptLine(text=SHALOM, cursor=4, focused=True))
    assert bar.caret_x == INNER_LEFT
    bar, _ = drawn(text, PromptLine(text=SHALOM, cursor=0, focused=True))
    assert bar.caret_x == round(INNER_LEFT + width(text, SHALOM))
    bar, _ = drawn(text, PromptLine(text="", cursor=0, focused=True))
    assert bar.caret_x == INNER_LEFT


@pytest.mark.parametrize("words", [f"{SHALOM} ", f"{SHALOM} fox ", "fox ", f"fox {SHALOM} "], ids=ascii)
def test_a_long_line_scrolls_to_its_caret(text: theme.Text, words: str) -> None:
    long = words * 90
    bar, surface = PromptBar(text), pygame.Surface((640, 60))
    for cursor in (len(long), len(long) // 2, 0, 7, len(long)):
        surface.fill(theme.BACKGROUND)
        bar.draw(surface, BAR, PlayerState(), PromptLine(text=long, cursor=cursor, focused=True), now=0.9)
        assert INNER_LEFT <= bar.caret_x <= INNER_RIGHT
        pixels = pygame.surfarray.array3d(surface)[INNER_LEFT:INNER_RIGHT, BAR.top + 2 : BAR.bottom - 2].max(
            axis=(1, 2)
        )
        inked = [bool((pixels[x : x + 60] > 100).any()) for x in range(0, len(pixels) - 60, 60)]
        assert sum(inked) >= len(inked) - 1, "the window is full of text, but for a caret at the end of the line"


def test_only_what_is_visible_is_rendered(text: theme.Text) -> None:
    for words in (f"{SHALOM} ", "fox "):
        drawn(text, PromptLine(text=words * 400, cursor=900, focused=True))
    widest = max(surface.get_width() for surface in text._kept.values())
    assert widest < 700
