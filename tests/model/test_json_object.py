"""JSON that has to be an object."""

import pytest

from longtake.model.json_object import parse_object


def test_an_object_is_returned() -> None:
    assert parse_object('{"a": [1]}') == {"a": [1]}
    assert parse_object(b"{}") == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "it holds a list instead of an object"),
        ('"a"', "it holds a text instead"),
        ("3", "it holds a number instead"),
        ("true", "it holds true or false instead"),
        ("null", "it holds null instead"),
        ("[" * 100_000, "it is nested too deep"),
        ("", "Expecting value"),
        ("9" * 5000, "Exceeds the limit"),
        (b"\xff\xfe\x00", "codec can't decode"),
    ],
    ids=lambda text: ascii(text)[:20],
)
def test_anything_else_is_a_value_error(text: str | bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_object(text)
