"""The take file: written record by record, read back whatever happened to its end."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest
from fakes import FakeModel
from hypothesis import given, settings
from hypothesis import strategies as st
from sample_take import HEADER, RECORDS

from longtake.runtime.takes.file import (
    TakeBlock,
    TakeCue,
    TakeEnd,
    TakeError,
    TakeHeader,
    TakeLog,
    TakeReset,
    TakeRestore,
    TakeWriter,
    encode_record,
    read_take,
)
from longtake.runtime.takes.recorder import Recorder


def written(path: Path) -> bytes:
    writer = TakeWriter(path)
    writer.write(HEADER)
    for record in RECORDS:
        writer.write(record)
    writer.close()
    return path.read_bytes()


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    written(tmp_path / "a.take")
    take = read_take(tmp_path / "a.take")
    assert take.header == HEADER
    assert take.records == RECORDS
    assert not take.torn
    assert not take.ended
    assert [block.block for block in take.blocks] == [0, 1, 0]
    assert [cue.label for cue in take.cues] == ["night"]


def test_an_ordinary_end_is_marked(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.start("a", [HEADER, *RECORDS])
    recorder.stop(12)
    assert read_take(tmp_path / "a.take").ended
    assert read_take(tmp_path / "a.take").records[-1] == TakeEnd(tick=12)


def test_it_survives_being_cut_off_at_any_byte(tmp_path: Path) -> None:
    data = written(tmp_path / "whole.take")
    header = len(encode_record(HEADER))
    lengths = [len(encode_record(record)) for record in RECORDS]
    for end in range(header, len(data) + 1):
        path = tmp_path / "cut.take"
        path.write_bytes(data[:end])
        take = read_take(path)
        whole = sum(sum(lengths[: n + 1]) <= end - header for n in range(len(lengths)))
        assert take.records == RECORDS[:whole]
        assert take.torn == (end - header != sum(lengths[:whole]))


@settings(deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 255))
def test_a_flipped_bit_is_found_and_named(tmp_path_factory: pytest.TempPathFactory, place: int, flip: int) -> None:
    folder = tmp_path_factory.mktemp("flip")
    data = bytearray(written(folder / "a.take"))
    place %= len(data) - len(encode_record(RECORDS[-1]))
    if bytes([data[place] ^ flip]) == b"\n" or data[place : place + 1] == b"\n":
        return
    data[place] ^= flip
    (folder / "b.take").write_bytes(data)
    with pytest.raises(TakeError, match=r"b.take(, line \d| is no take)"):
        read_take(folder / "b.take")


def test_other_files_and_formats_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.take"
    for data in (b"", b"hello\n", encode_record(RECORDS[0])):
        path.write_bytes(data)
        with pytest.raises(TakeError, match="take"):
            read_take(path)
    path.write_bytes(encode_record(TakeHeader(format=9, world="w", model=FakeModel().announced, seed=1, prompt="x")))
    with pytest.raises(TakeError, match="format 9"):
        read_take(path)


def test_the_log_gives_back_the_order(tmp_path: Path) -> None:
    log = TakeLog(HEADER)
    for record in RECORDS[:3]:
        log.add(record)
    assert list(log.records()) == [HEADER, *RECORDS[:3]]
    log.add(TakeCue(cue=2, block=2, tick=8, kind="prompt", label="x", prompt="x"))
    assert list(log.records())[-1].cue == 2
    with pytest.raises(ValueError, match="block 5"):
        log.add(TakeBlock(block=5, digest="00" * 16))


def test_kill_9_loses_nothing_that_was_written(tmp_path: Path) -> None:
    path = tmp_path / "killed.take"
    code = (
        "import sys, pathlib\n"
        "from fakes import FullDisk, FakeModel\n"
        "from longtake.runtime.takes.file import *\n"
        f"writer = TakeWriter(pathlib.Path({str(path)!r}))\n"
        "writer.write(TakeHeader(format=1, world='w', model=FakeModel().announced, seed=1, prompt='x'))\n"
        "for block in range(10**9):\n"
        "    writer.write(TakeBlock(block=block, digest='00' * 16))\n"
        "    if block == 500: print('go', flush=True)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == b"go\n"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    process.stdout.close()
    blocks = read_take(path).blocks
    assert len(blocks) > 500
    assert [block.block for block in blocks] == list(range(len(blocks)))


def test_line_ends_and_the_mark_of_an_editor_are_no_damage(tmp_path: Path) -> None:
    data = written(tmp_path / "a.take")
    for changed in (data.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + data):
        (tmp_path / "b.take").write_bytes(changed)
        take = read_take(tmp_path / "b.take")
        assert (take.header, take.records, take.torn) == (HEADER, RECORDS, False)


def with_model(**fields: Any) -> TakeHeader:
    return msgspec.structs.replace(HEADER, model=msgspec.structs.replace(HEADER.model, **fields))


@pytest.mark.parametrize(
    ("records", "problem"),
    [
        ([HEADER, *RECORDS[1:]], "line 3: block 1 follows 0 blocks; a line is missing"),
        ([HEADER, RECORDS[0], *RECORDS], "line 3: block 0 follows 1 blocks; a line is missing, or there twice"),
        ([HEADER, *RECORDS, HEADER, *RECORDS], "line 7: a second take_header: this is more than one take"),
        ([HEADER, TakeBlock(block=-1, digest="")], "line 2: block -1 follows 0 blocks"),
        ([HEADER, RECORDS[0], TakeRestore(block=1, source=2, kind="compact")], "line 3: it goes back to block 2"),
        (
            [HEADER, RECORDS[0], TakeRestore(block=9, source=0, kind="open")],
            "line 3: it goes back to block 0 and on from 9",
        ),
        ([HEADER, RECORDS[0], TakeRestore(block=1, source=-5, kind="exact")], "line 3: it goes back to block -5"),
        ([HEADER, TakeReset(generation=1, seed=-1, prompt="x")], "line 2: -1 is no seed"),
        ([msgspec.structs.replace(HEADER, seed=2**60)], f"line 1: {2**60} is no seed"),
        ([with_model(fps=0)], "line 1: the model has impossible sizes"),
        ([with_model(height=0)], "line 1: the model has impossible sizes"),
        ([with_model(fps=10**12)], "line 1: the model has impossible sizes"),
    ],
)
def test_what_no_recording_says_is_named_with_its_line(tmp_path: Path, records: list[Any], problem: str) -> None:
    path = tmp_path / "odd.take"
    path.write_bytes(b"".join(encode_record(record) for record in records))
    with pytest.raises(TakeError, match=re.escape(f"odd.take, {problem}")):
        read_take(path)
