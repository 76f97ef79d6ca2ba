"""A file is there whole, or it is not there, whatever happens to whoever writes it."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from longtake.clients.film.whole_file import WholeFile, free_name

KILLED = """
import sys, time
from pathlib import Path
from longtake.clients.film.whole_file import WholeFile
with WholeFile(Path(sys.argv[1])) as file:
    file.part.write_bytes(b"half")
    print(file.part.name, flush=True)
    time.sleep(60)
"""


def test_it_lands_at_the_end_and_replaces_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    for text in ("one", "two"):
        with WholeFile(path) as file:
            file.part.write_text(text)
            assert not path.exists() or path.read_text() == "one"
        assert path.read_text() == text
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def fail() -> None:
        with WholeFile(path) as file:
            file.part.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with WholeFile(path) as first:
        first.part.write_text("first")
        with WholeFile(path) as second:
            second.part.write_text("second")
        assert path.read_text() == "second"
        assert first.part.read_text() == "first", "what a living process writes is left alone"
    assert path.read_text() == "first"
    assert list(tmp_path.iterdir()) == [path]


def test_without_replacing_each_takes_the_first_free_number(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    names = []
    for text in ("one", "two", "three"):
        with WholeFile(path, replace=False) as file:
            file.part.write_text(text)
        names.append(file.path.name)
        assert file.path.read_text() == text
    assert names == ["a.txt", "a-1.txt", "a-2.txt"]
    assert sorted(one.name for one in tmp_path.iterdir()) == sorted(names)


def test_two_that_end_at_once_both_keep_their_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    files = [WholeFile(path, replace=False) for _ in range(8)]
    for number, file in enumerate(files):
        file.begin()
        file.part.write_text(str(number))
    together = threading.Barrier(len(files))

    def land(file: WholeFile) -> None:
        together.wait()
        file.land()
        file.discard()

    threads = [threading.Thread(target=land, args=(file,)) for file in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [file.path.read_text() for file in files] == [str(number) for number in range(8)]
    assert len(list(tmp_path.iterdir())) == 8


def test_without_links_it_lands_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "a.txt"
    path.write_text("old")
    with WholeFile(path, replace=False) as file:
        file.part.write_text("new")
    assert (path.read_text(), file.path.read_text()) == ("old", "new")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["a-1.txt", "a.txt"]


def test_a_dangling_link_is_no_free_name(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    path.symlink_to(tmp_path / "gone")
    (tmp_path / "a-1.png").write_text("a sheet")
    assert free_name(path, ".png").name == "a-2.mp4"


def test_the_longest_name_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / ("x" * (os.pathconf(tmp_path, "PC_NAME_MAX") - 4) + ".mp4")
    with WholeFile(path) as file:
        file.part.write_text("whole")
    assert path.read_text() == "whole"


@pytest.mark.skipif(os.name == "nt", reason="there is no way to ask whether a process lives")
def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path) -> None:
    path, other = tmp_path / "a.txt", tmp_path / "b.txt"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(path)], stdout=subprocess.PIPE, text=True)
    with process:
        assert process.stdout is not None
        left = tmp_path / process.stdout.readline().strip()
        process.send_signal(signal.SIGKILL)
    assert left.read_bytes() == b"half"
    with WholeFile(other) as file:
        file.part.write_text("b")
    assert left.exists(), "it belongs to another file"
    with WholeFile(path) as file:
        file.part.write_text("a")
    assert sorted(tmp_path.iterdir()) == [path, other]


@pytest.mark.skipif(sys.platform != "linux", reason="names are text there")
def test_a_name_that_is_no_text_can_be_written(tmp_path: Path) -> None:
    path = tmp_path / os.fsdecode(b"bad\xff.txt")
    with WholeFile(path) as file:
        file.part.write_text("whole")
    assert [one.read_text() for one in tmp_path.iterdir()] == ["whole"]
