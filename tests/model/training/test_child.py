"""Signals that reach the process that does the work."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

MODULE = """import pathlib, signal, sys, time
def stop(number, frame):
    pathlib.Path(sys.argv[1], "asked").write_text(str(number))
    sys.exit(7)
signal.signal(signal.SIGTERM, stop)
pathlib.Path(sys.argv[1], "ready").touch()
time.sleep(100)
"""
"""stands for a run that saves when it is asked to stop"""
PARENT = "import sys; from longtake.model.training import child; sys.exit(child.run_module(['waiting', sys.argv[1]]))"


@pytest.mark.skipif(os.name != "posix", reason="signals of another kind")
def test_a_command_hands_on_what_asks_it_to_stop(tmp_path: Path) -> None:
    (tmp_path / "waiting.py").write_text(MODULE)
    # Read by every Python that starts: it finds the module that waits among ours.
    (tmp_path / "sitecustomize.py").write_text(
        f"import longtake.model.training as t\nt.__path__.insert(0, {str(tmp_path)!r})\n"
    )
    environment = os.environ | {"PYTHONPATH": str(tmp_path)}
    process = subprocess.Popen([sys.executable, "-c", PARENT, str(tmp_path)], env=environment)
    until = time.monotonic() + 60
    while not (tmp_path / "ready").exists():
        assert time.monotonic() < until
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert process.wait(30) == 7, "the status of the one that did the work"
    assert (tmp_path / "asked").read_text() == str(int(signal.SIGTERM))
