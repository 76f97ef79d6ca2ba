"""Options from texts: each kind of field, and what cannot be said with it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest

from longtake.model.errors import ConfigError
from longtake.model.interface import Options


@dataclass(frozen=True, kw_only=True)
class Some(Options):
    size: int = 8
    share: float = 0.5
    colour: Literal["red", "blue"] = "red"
    folder: Path | None = None
    fast: bool = False
    overlap: bool | None = None
    note: str = ""


def test_each_kind_of_field_is_read() -> None:
    texts = {"size": "16", "share": "1", "colour": "blue", "folder": "~/x", "fast": "on", "overlap": "No", "note": "16"}
    assert Some.parse(texts) == Some(
        size=16, share=1.0, colour="blue", folder=Path("~/x").expanduser(), fast=True, overlap=False, note="16"
    )
    assert Some.parse({}) == Some()
    assert Some.names() == ("size", "share", "colour", "folder", "fast", "overlap", "note")


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("size", "large", "size must be a number, not 'large'"),
        ("size", "1.5", "size must be a number"),
        ("share", "nan", "share must be a finite number, not nan"),
        ("share", "inf", "share must be a finite number, not inf"),
        ("share", "1e999", "share must be a finite number, not inf"),
        ("size", "9" * 30, "size must have at most 64 bits"),
        ("size", "9" * 5000, "size must be a number"),
        ("fast", "perhaps", "fast must be on or off, not 'perhaps'"),
        ("colour", "green", "colour must be one of 'red', 'blue', not 'green'"),
        ("weight", "1", "there is no option weight; there are size, share"),
    ],
)
def test_what_cannot_be_read_is_named(name: str, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        Some.parse({name: text})


def test_a_number_that_is_none_is_refused_without_texts_too() -> None:
    with pytest.raises(ConfigError, match="share must be a finite number"):
        Some(share=float("nan"))


def test_a_wrong_choice_is_refused_without_texts_too() -> None:
    with pytest.raises(ConfigError, match="colour must be one of"):
        Some(colour="green")  # type: ignore[arg-type]


def test_a_model_without_options_says_so() -> None:
    with pytest.raises(ConfigError, match="there is no option size; there are none"):
        Options.parse({"size": "1"})
