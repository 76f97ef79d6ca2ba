"""Fields of a configuration changed by name."""

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from longtake.model.errors import ConfigError
from longtake.model.training.objectives.streaming import StreamingConfig
from longtake.model.training.settings import changed


@dataclass(frozen=True, kw_only=True)
class Inner:
    frames: int = 12
    share: float = 0.5

    def __post_init__(self) -> None:
        if self.share > 1:
            raise ConfigError(f"share is at most 1, not {self.share}")


@dataclass(frozen=True, kw_only=True)
class Other:
    frames: int = 80
    names: tuple[str, ...] = ("a",)
    where: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Outer:
    inner: Inner = field(default_factory=Inner)
    other: Other = field(default_factory=Other)
    on: bool = True
    title: str = ""


def test_values_are_read_by_their_fields_type() -> None:
    made = changed(Outer(), ["inner.frames=3", "share=0.25", "on=no", "title=a b", "names=x, y", "where=/tmp"])
    assert made.inner == Inner(frames=3, share=0.25)
    assert made.other == Other(names=("x", "y"), where=Path("/tmp"))
    assert made.title == "a b"
    assert made.on is False
    assert changed(made, ["where=none"]).other.where is None


@pytest.mark.parametrize(
    ("assignment", "said"),
    [
        ("shar=1", "did you mean share"),
        ("frames=1", r"inner\.frames or other\.frames"),
        ("inner.frames=x", "frames takes a value of type int, not 'x'"),
        ("on=maybe", "type bool"),
        ("share", "NAME=VALUE"),
        ("share=2", "at most 1"),
        ("inner=3", "no setting"),
    ],
)
def test_mistakes_are_named(assignment: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        changed(Outer(), [assignment])


def test_settings_that_are_only_right_together_are_taken_together() -> None:
    usual = StreamingConfig(window_frames=12, chunk_frames=10, longest_frames=122)
    for order in ((0, 1), (1, 0)):
        given = ["window_frames=4", "chunk_frames=3"]
        made = changed(usual, [given[n] for n in order])
        assert (made.window_frames, made.chunk_frames, made.longest_frames) == (4, 3, 122)
    with pytest.raises(ConfigError, match="must rise"):
        changed(usual, ["window_frames=4"])
