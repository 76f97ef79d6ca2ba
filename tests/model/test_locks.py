"""Locks between processes."""

import subprocess
import sys
from pathlib import Path

import pytest

from longtake.model.locks import Locked, locked

HOLD = """
import sys
from pathlib import Path
from longtake.model.locks import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_one_holder_at_a_time_and_nothing_is_left(tmp_path: Path) -> None:
    path = tmp_path / "deep" / ".lock"
    with locked(path):
        with pytest.raises(Locked), locked(path):
            raise AssertionError("held twice")
        assert path.exists(), "a refused try leaves the holder's file"
    assert list(path.parent.iterdir()) == []
    with pytest.raises(ValueError, match="inside"), locked(path):
        raise ValueError("inside")
    with locked(path):
        pass
    assert list(path.parent.iterdir()) == []


def test_a_process_that_is_killed_lets_go(tmp_path: Path) -> None:
    path = tmp_path / ".lock"
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(Locked), locked(path):
            raise AssertionError("held twice")
        holder.kill()
        holder.wait(10)
    with locked(path):
        assert path.exists()
    assert not path.exists()
