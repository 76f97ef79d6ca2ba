"""Text of both directions, in the order in which it is drawn."""

import pytest

from longtake.clients.bidi import drawn_order, mirrored, script_of

SHALOM, FOX = "\u05e9\u05dc\u05d5\u05dd", "\u062b\u0639\u0644\u0628"
LEFT, RIGHT = False, True


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("", []),
        ("a fox, 12.5 %", [("a fox, 12.5 %", LEFT)]),
        (SHALOM, [(SHALOM, RIGHT)]),
        (f"take 3 {SHALOM}!", [("take 3 ", LEFT), (SHALOM, RIGHT), ("!", LEFT)]),
        (f"a {FOX} b", [("a ", LEFT), (FOX, RIGHT), (" b", LEFT)]),
        (f"{FOX} {SHALOM}", [(f"{FOX} {SHALOM}", RIGHT)]),
        (f"{SHALOM} fox", [("fox", LEFT), (f"{SHALOM} ", RIGHT)]),
        (f"{SHALOM} 12 {FOX}", [(f" {FOX}", RIGHT), ("12", LEFT), (f"{SHALOM} ", RIGHT)]),
        (f"{FOX} 12.5", [("12.5", LEFT), (f"{FOX} ", RIGHT)]),
        (f"fox {FOX} 12.5", [("fox ", LEFT), ("12.5", LEFT), (f"{FOX} ", RIGHT)]),
        (f"{SHALOM} (fox)", [(")", RIGHT), ("fox", LEFT), (f"{SHALOM} (", RIGHT)]),
        (f"({SHALOM}) fox", [("fox", LEFT), (f"({SHALOM}) ", RIGHT)]),
        ("\u05e9\u05b8 x", [("x", LEFT), ("\u05e9\u05b8 ", RIGHT)]),
    ],
    ids=ascii,
)
def test_the_parts_from_left_to_right(text, drawn):
    assert drawn_order(text) == drawn


@pytest.mark.parametrize(
    "text", [f"{SHALOM} fox {FOX} 12, {SHALOM}" * 3, f"1 {FOX}", f"fox\t{FOX}\u0301 ()", "\u200d" + FOX]
)
def test_nothing_is_lost(text):
    assert sorted("".join(part for part, _ in drawn_order(text))) == sorted(text)


def test_a_part_as_it_looks():
    assert mirrored("\u05d0\u05b8(\u05d1)") == "(\u05d1)\u05d0\u05b8"


@pytest.mark.parametrize(("part", "script"), [(f" {FOX}", "Arab"), (SHALOM, "Hebr"), (" !", "Hebr")])
def test_the_script_of_a_part(part, script):
    assert script_of(part) == script
