"""Times and seeds as they are typed."""

import argparse

import pytest

from longtake.runtime.cli import arguments


@pytest.mark.parametrize(("text", "expected"), [("5", 5), ("2.5s", 2.5), ("1m30s", 90), ("3m", 180), ("0", 0)])
def test_times(text: str, expected: float) -> None:
    assert arguments.seconds(text) == expected


@pytest.mark.parametrize("text", ["", "s", "-1", "5 s", "1h", "nan", "inf", "1e3"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is not a time"):
        arguments.seconds(text)


@pytest.mark.parametrize("text", ["-1", "1.5", "", "9223372036854775808", "99999999999999999999"])
def test_what_is_no_seed(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError):
        arguments.seed(text)
    assert arguments.seed(str(arguments.MAX_SEED)) == arguments.MAX_SEED
