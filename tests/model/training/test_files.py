"""Files that are whole or not there."""

from pathlib import Path

import pytest

from longtake.model.errors import TrainingError
from longtake.model.training.files import append_line, write_whole


def test_a_file_is_replaced_at_once(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "a"
    write_whole(path, lambda beside: beside.write_text("one"))
    write_whole(path, lambda beside: beside.write_text("two"))
    assert path.read_text() == "two"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")

    def fail(beside: Path) -> None:
        beside.write_text("half")
        raise OSError(28, "No space left on device")

    with pytest.raises(TrainingError, match="a: No space left on device; mend that"):
        write_whole(path, fail)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_name_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 255)
    write_whole(path, lambda beside: beside.write_text("one"))
    assert path.read_text() == "one"


def test_temporary_names_are_never_shared(tmp_path: Path) -> None:
    path = tmp_path / "a"

    def slow(beside: Path) -> None:
        beside.write_text("outer")
        write_whole(path, lambda other: other.write_text("inner"))
        assert path.read_text() == "inner"

    write_whole(path, slow)
    assert path.read_text() == "outer"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_whole_lines() -> None:
    with pytest.raises(TrainingError, match="No space left"):
        append_line(Path("/dev/full"), "a line")


def test_lines_are_appended(tmp_path: Path) -> None:
    for line in ("one", "two"):
        append_line(tmp_path / "log", line)
    assert (tmp_path / "log").read_text() == "one\ntwo\n"
