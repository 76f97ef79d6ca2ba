"""A rank of a spread run that is killed: the others end in one line, nothing is half-written, and the run goes on."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from longtake.model.training.launch import is_lost_rank

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of another kind")
TORCHRUN = (
    "-m",
    "torch.distributed.run",
    "--nproc-per-node",
    "2",
    "-m",
    "longtake.model.training.recipes.self_forcing",
)
MANY = 100_000


def arguments(folder: Path, steps: int) -> list[str]:
    settings = ("log_every=1", "checkpoint_every_s=0.1")
    given = ["--model", "longlive-1.3b", "--rehearsal", "--out", str(folder), "--steps", str(steps)]
    return [sys.executable, *TORCHRUN, *given, *(part for setting in settings for part in ("--set", setting))]


def children(process: "subprocess.Popen[str]") -> list[int]:
    listed = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(number) for number in listed.split()]


def logged(folder: Path) -> list[int]:
    return [json.loads(line)["step"] for line in (folder / "log.jsonl").read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="finds the ranks in /proc")
def test_a_killed_rank_under_torchrun(tmp_path: Path) -> None:
    process = subprocess.Popen(arguments(tmp_path, MANY), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    until = time.monotonic() + 400
    while not list(tmp_path.glob("checkpoints/step-*")):
        assert process.poll() is None
        assert time.monotonic() < until, "no checkpoint"
        time.sleep(0.05)
    os.kill(children(process)[-1], signal.SIGKILL)
    out, _ = process.communicate(timeout=200)
    assert process.returncode == 1
    ours = [line for line in out.splitlines() if "longtake train:" in line]
    assert len(ours) == 1
    assert "another one is lost" in ours[0]
    assert "run the same command again" in ours[0]
    assert "[rank0]:" not in out, "no traceback of ours"
    assert not (tmp_path / "finished").exists()
    (kept,) = tmp_path.glob("checkpoints/step-*")
    step = int(kept.name.removeprefix("step-"))
    before = logged(tmp_path)

    done = subprocess.run(arguments(tmp_path, step + 2), capture_output=True, text=True, check=False, timeout=400)
    assert done.returncode == 0, done.stderr[-2000:]
    assert (tmp_path / "finished").exists()
    assert logged(tmp_path)[len(before) :] == [step + 1, step + 2], "it goes on from the last checkpoint"
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == [f"step-{step + 2:06d}"]


@pytest.mark.parametrize(
    ("said", "lost"),
    [
        ("[/x/gloo/transport/tcp/pair.cc:537] Read error [127.0.0.1]:1414: Connection reset by peer.", True),
        ("[/x/gloo/transport/tcp/pair.cc:1] Connection closed by peer [127.0.0.1]:5", True),
        ("[/x/gloo/transport/tcp/unbound_buffer.cc:78] Timed out waiting 1800000ms for recv operation", True),
        ("mat1 and mat2 shapes cannot be multiplied", False),
        ("[/x/gloo/allreduce.cc:1] something of ours", False),
    ],
)
def test_what_says_that_a_rank_is_lost(said: str, lost: bool) -> None:
    assert is_lost_rank(RuntimeError(said)) is lost
