"""Characters as people count them."""

from itertools import pairwise

import pytest

from longtake.clients.player.graphemes import after, before, boundaries


@pytest.mark.parametrize(
    ("text", "characters"),
    [
        ("", []),
        ("fox", ["f", "o", "x"]),
        ("\u2764\ufe0fx", ["\u2764\ufe0f", "x"]),
        ("e\u0301\u0302x", ["e\u0301\u0302", "x"]),
        ("\U0001f469\u200d\U0001f467\u200d\U0001f466", ["\U0001f469\u200d\U0001f467\u200d\U0001f466"]),
        ("\U0001f44d\U0001f3fd!", ["\U0001f44d\U0001f3fd", "!"]),
        ("\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7x", ["\U0001f1e9\U0001f1ea", "\U0001f1eb\U0001f1f7", "x"]),
        ("\u4e2d\u6587", ["\u4e2d", "\u6587"]),
    ],
    ids=ascii,
)
def test_boundaries(text: str, characters: list[str]) -> None:
    places = boundaries(text)
    assert [text[low:high] for low, high in pairwise(places)] == characters
    for low, high in pairwise(places):
        assert (before(text, high), after(text, low)) == (low, high)
    assert (before(text, 0), after(text, len(text))) == (0, len(text))
