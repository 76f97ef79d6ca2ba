"""Where one character ends and the next begins, as people count them: a heart is a symbol and a mark."""

import unicodedata

JOINER = "\u200d"
SKINS = range(0x1F3FB, 0x1F400)
"""modifiers that colour the emoji before them"""
FLAG_LETTERS = range(0x1F1E6, 0x1F200)
"""two of them are a flag"""


def boundaries(text: str) -> list[int]:
    """Return the indices between characters, from 0 to the text's length."""
    places = [0]
    flag_letters = 0
    for index in range(1, len(text)):
        before, this = text[index - 1], text[index]
        flag_letters = flag_letters + 1 if ord(before) in FLAG_LETTERS else 0
        pair = flag_letters % 2 == 1 and ord(this) in FLAG_LETTERS
        if not (pair or _extends(this) or before == JOINER):
            places.append(index)
    return [*places, len(text)] if text else places


def before(text: str, index: int) -> int:
    """Return the start of the character that ends at `index`."""
    return max((place for place in boundaries(text) if place < index), default=0)


def after(text: str, index: int) -> int:
    """Return the end of the character that starts at `index`."""
    return min((place for place in boundaries(text) if place > index), default=len(text))


def _extends(character: str) -> bool:
    if character.isascii():
        return False
    return character in (JOINER, "\u200c") or ord(character) in SKINS or unicodedata.category(character).startswith("M")
