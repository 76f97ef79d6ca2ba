"""Times and seeds as they are typed."""

import argparse
from pathlib import Path

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


@pytest.mark.parametrize("text", ["9" * 400, "25" + "0" * 5 + "s", "9" * 400 + "m"])
def test_times_have_an_end(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="is more than 24 hours"):
        arguments.seconds(text)


@pytest.mark.parametrize("text", ["-1", "many", "9999", "99999", "1.5"])
def test_what_is_no_number_of_threads(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="0 leaves"):
        arguments.threads(text)
    assert arguments.threads("64") == 64


def test_the_home_folder_is_found_in_any_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/somewhere")
    assert arguments.file_path("~/x.mp4") == Path("/somewhere/x.mp4")
    assert arguments.file_path("a~b/x.mp4") == Path("a~b/x.mp4")
    for text in ("", "a\0b", "~no-such-user-here/x"):
        with pytest.raises(argparse.ArgumentTypeError):
            arguments.file_path(text)


@pytest.mark.parametrize("text", ["\u200b", "\u3164", "\ufe0f, \u200b"])
def test_a_prompt_shows_something(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="1 to 2000 visible characters"):
        arguments.prompt(text)
    assert arguments.prompt("a \u200bfox\u202e") == "a fox"
