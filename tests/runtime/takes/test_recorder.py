"""The recorder: a disk that fails ends the recording, and a take is never overwritten."""

import os
from pathlib import Path

import pytest
from fakes import FullDisk
from sample_take import HEADER, RECORDS

from longtake.protocol.errors import Refused
from longtake.runtime.takes import recorder as recorder_module
from longtake.runtime.takes.file import (
    TakeWriter,
)
from longtake.runtime.takes.recorder import Recorder, checked_name


def test_a_full_disk_ends_the_recording_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder_module, "TakeWriter", FullDisk)
    recorder = Recorder(tmp_path)
    recorder.start("a", [HEADER])
    assert recorder.write(RECORDS[0]) == ""
    assert "No space left" in recorder.write(RECORDS[1])
    assert recorder.name == ""
    assert recorder.write(RECORDS[2]) == ""
    with pytest.raises(Refused, match=r"a\.take ends here, it cannot be written: No space left"):
        recorder.stop(8)
    assert recorder.stop(8) == "", "that is said once"


def test_a_recording_that_cannot_begin_leaves_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(TakeWriter):
        def write(self, *records: object) -> None:
            os.write(self._file, b"half")
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(recorder_module, "TakeWriter", Full)
    recorder = Recorder(tmp_path)
    with pytest.raises(Refused, match=r"a\.take cannot be written: No space left"):
        recorder.start("a", [HEADER])
    assert (recorder.name, list(tmp_path.iterdir())) == ("", [])


def test_a_recording_never_overwrites_and_never_leaves_its_folder(tmp_path: Path) -> None:
    (tmp_path / "a.take").write_text("precious")
    recorder = Recorder(tmp_path)
    with pytest.raises(Refused, match="exists"):
        recorder.start("a", [HEADER])
    for name in ("../a", "/etc/passwd", ".hidden", "", "a/b", "a\\b", "x" * 200, "nul\0"):
        with pytest.raises(Refused, match="no file name"):
            recorder.start(name, [HEADER])
    assert (tmp_path / "a.take").read_text() == "precious"
    assert checked_name("my take-1") == "my take-1.take"


@pytest.mark.parametrize(
    "name", ["\u92ed\u3044", "\u092b\u093f\u0932\u094d\u092e", "e\u0301t\u00e9", "\u0645\u06cc\u200c\u0622\u06cc\u062f"]
)
def test_names_in_other_scripts(tmp_path: Path, name: str) -> None:
    assert Recorder(tmp_path).start(name, [HEADER]) == f"{name}.take"
    assert [path.name for path in tmp_path.iterdir()] == [f"{name}.take"]


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Refused, match="cannot be written"):
        Recorder(tmp_path / "file" / "takes").start("a", [HEADER])
