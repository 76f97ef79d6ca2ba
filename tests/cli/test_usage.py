"""Suggestions for names that do not exist."""

from longtake.runtime.cli.usage import unknown


def test_suggestions() -> None:
    assert unknown("model", "diorma", ["diorama", "x"]) == (
        "no model is called 'diorma'; there are: diorama, x; did you mean diorama?"
    )
    assert "mean" not in unknown("model", "qqq", ["diorama"])
