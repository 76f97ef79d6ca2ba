"""How commands end when they are told to: at once, in order, and with no process or file left behind."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from longtake.runtime.generator.supervisor import IPC_PREFIX

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of another kind")
FAKES = Path(__file__).parents[1] / "runtime"


def start(folder: Path, *arguments: str) -> "subprocess.Popen[str]":
    # its own temporary folder, so that what is left behind in it is known
    environment = {**os.environ, "PYTHONPATH": str(FAKES), "TMPDIR": str(folder / "tmp")}
    (folder / "tmp").mkdir()
    return subprocess.Popen(
        [sys.executable, "-m", "longtake", *arguments, "--factory", "fakes:load_steered"],
        cwd=folder,
        env=environment,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # tests may be run in the background, where Ctrl-C is ignored
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def sockets(folder: Path) -> list[Path]:
    """The folders of the generators' sockets."""
    assert tempfile.gettempdir() != str(folder / "tmp")
    return list((folder / "tmp").glob(f"{IPC_PREFIX}*"))


def wait_for(folder: Path) -> None:
    until = time.monotonic() + 60
    while not sockets(folder):
        assert time.monotonic() < until, "no generator was started"
        time.sleep(0.02)
    time.sleep(0.5)


@pytest.mark.parametrize("signals", [[signal.SIGINT], [signal.SIGTERM] * 3], ids=["interrupt", "terminate"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["serve", "--bind", "tcp://127.0.0.1:0"],
        ["render", "a fox", "--seconds", "600", "--output", "x.mp4", "--no-contact-sheet"],
        ["run", "default", "--mode", "live"],
    ],
    ids=["serve", "render", "run"],
)
def test_nothing_is_left_behind(tmp_path: Path, arguments: list[str], signals: list[int]) -> None:
    # Ctrl-C is how a server is meant to end
    code = 143 if signal.SIGTERM in signals else 0 if arguments[0] == "serve" else 130
    process = start(tmp_path, *arguments)
    wait_for(tmp_path)
    for number in signals:
        process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert "Traceback" not in out + err
    until = time.monotonic() + 20
    while sockets(tmp_path) and time.monotonic() < until:
        time.sleep(0.05)
    assert sockets(tmp_path) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["tmp"]


def test_an_interrupt_while_the_program_is_still_being_read_is_one_line(tmp_path: Path) -> None:
    code = (
        "import builtins, sys\n"
        "from longtake.__main__ import main\n"
        "real = builtins.__import__\n"
        "def read(name, *rest):\n"
        "    if name == 'longtake.runtime.cli.main':\n"
        "        raise KeyboardInterrupt\n"
        "    return real(name, *rest)\n"
        "builtins.__import__ = read\n"
        "sys.exit(main())\n"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (130, "longtake: interrupted\n")


def test_a_server_whose_client_was_gone_before_it_looked_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "longtake.runtime.server.process", "--model", "fake", "--factory", "fakes:load"]
    with subprocess.Popen(["true"]) as gone:
        pass
    environment = {**os.environ, "PYTHONPATH": str(FAKES), "TMPDIR": str(tmp_path)}
    ended = subprocess.run(
        [*command, "--with-parent", str(gone.pid)],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.DEVNULL,
        timeout=60,
    )
    assert ended.returncode == 0
