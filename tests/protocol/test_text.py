"""What may pass where text enters."""

import unicodedata

import pytest

from longtake.protocol.text import clean

UNSEEN = (
    *["", "\0", " ", "\u200b", "\u200b\u200b", "\ufeff", "\u202e", "\u3164", "\u2800", "\ufe0f", "\u0301", "\u200d"],
    *["\u3000", "\n\t", "\u00ad", "\U000e0041", "\u034f", "\u180e", "\u2060 \u2061"],
)
SHOWN = {
    "German": "ein Fuchs l\u00e4uft",
    "letters with marks": "e\u0301te\u0301",
    "Chinese": "\u4e00\u53ea\u72d0\u72f8",
    "Japanese": "\u30ad\u30c4\u30cd",
    "Korean": "\uc5ec\uc6b0",
    "Persian": "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645",
    "Hindi": "\u0915\u094d\u200d\u0937",
    "a heart": "\u2764\ufe0f",
    "a family": "\U0001f469\u200d\U0001f467",
    "a skin": "\U0001f44d\U0001f3fd",
    "a flag": "\U0001f1e9\U0001f1ea",
}


@pytest.mark.parametrize("text", UNSEEN, ids=ascii)
def test_text_without_anything_visible_becomes_empty(text: str) -> None:
    assert clean(text) == ""


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("a fox", "a fox"),
        (" a  fox ", " a  fox "),
        ("a\nfox\u2028runs\x85by\x1b[31m", "a fox runs by [31m"),
        ("sto\u200brm\ufeff", "storm"),
        ("\u202eevil\u202c", "evil"),
        ("\u0301a fox", "a fox"),
        ("half \ud800", "half \ufffd"),
        ("fox\u200d", "fox"),
        ("fox\u200d runs", "fox\u200d runs"),
    ],
    ids=ascii,
)
def test_what_cannot_be_drawn_is_removed(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@pytest.mark.parametrize("text", SHOWN.values(), ids=SHOWN)
def test_scripts_and_emoji_pass_unchanged(text: str) -> None:
    assert clean(text) == text


def test_cleaning_twice_changes_nothing_more() -> None:
    every = "".join(map(chr, range(0x3200))) + "".join(map(chr, range(0xD800, 0xE000))) + "\U000e0001\U0001f600"
    once = clean(every)
    assert clean(once) == once
    assert not [c for c in once if unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp")]
    once.encode()
