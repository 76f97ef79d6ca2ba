"""With real processes: the generator killed, the server killed, Ctrl-C; nothing is lost and nothing is left."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from raw_client import RawClient

from longtake.clients.session import Session
from longtake.protocol import messages
from longtake.runtime.generator.hosts import GeneratorHostConfig
from longtake.runtime.server.binding import ServerError
from longtake.runtime.server.local import local_server
from longtake.runtime.takes.file import TakeRestore, read_take
from longtake.runtime.takes.replay import replay

Start = Callable[..., Any]
FAKE = GeneratorHostConfig(models=("fake",), factory="fakes:load")
pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="needs POSIX signals")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def wait_for(condition: Callable[[], Any], what: str, seconds: float = 60.0) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if result := condition():
            return result
        time.sleep(0.02)
    raise AssertionError(f"not within {seconds} s: {what}")


@pytest.mark.parametrize("decode_s", [0.0, 0.02])
def test_a_killed_generator_is_replaced_and_the_take_goes_on(start: Start, decode_s: float) -> None:
    local = start(process=True, snapshot_every_s=0.5, fake={"step_s": 0.005, "decode_s": decode_s})
    supervisor = local.server.pool.generators[0]
    with RawClient(local) as client:
        world = client.open(seed=6).world
        client.subscribe(world, delivery="every", credit=1000)
        client.control_world(world, "record_start", path="killed")
        client.ask(messages.Prompt, messages.Ack, world=world, text="a fox", at_tick=12)
        client.wait(messages.Applied, cue=1)
        wait_for(lambda: local.server.worlds.find(world).world.plan.restore_point.snapshot, "a snapshot")
        first = supervisor.pid
        os.kill(first, signal.SIGKILL)
        assert client.wait(messages.Notice, kind="generator_lost")
        back = client.wait(messages.Notice, kind="generator_back")
        assert supervisor.pid != first
        frames = []
        while not frames or frames[-1].tick < back.tick + 20:
            frames.append(client.frame_message()[0])
        client.control_world(world, "record_stop")
    moving = [frame.tick for frame in frames if not frame.held]
    assert moving == list(range(len(moving)))
    assert all(frame.held for frame in frames if frame.stale)
    assert not frames[-1].stale
    take = read_take(local.server.config.takes / "killed.take")
    assert any(isinstance(record, TakeRestore) for record in take.records)
    result = replay(take, FAKE, in_process=True)
    assert result.first_difference is None, str(result)
    assert result.blocks > 8


def test_a_generator_that_hangs_is_replaced(start: Start) -> None:
    local = start(process=True, generator={"silent_s": 4.0})
    supervisor = local.server.pool.generators[0]
    with RawClient(local) as client:
        world = client.open(mode="lockstep").world
        client.control_world(world, "advance", ticks=4)
        stopped = supervisor.pid
        os.kill(stopped, signal.SIGSTOP)
        assert client.control_world(world, "advance", ticks=4).tick == 8
        assert supervisor.pid != stopped
        assert not alive(stopped)


def test_ctrl_c_ends_server_and_generator(tmp_path: Path) -> None:
    server = start_server(tmp_path)
    generator = child_of(server.pid)
    os.kill(server.pid, signal.SIGINT)
    assert server.wait(60) == 0
    wait_for(lambda: not alive(generator), "the generator ended")
    server.stdout.close()


def test_a_generator_notices_that_its_server_was_killed(tmp_path: Path) -> None:
    server = start_server(tmp_path)
    generator = child_of(server.pid)
    os.kill(server.pid, signal.SIGKILL)
    server.wait()
    wait_for(lambda: not alive(generator), "the generator ended")
    server.stdout.close()
    assert list(tmp_path.glob("longtake-*")) == [], "its socket's folder is still there"


def test_a_killed_server_leaves_a_readable_take(tmp_path: Path) -> None:
    server = start_server(tmp_path)
    generator = child_of(server.pid)
    with Session.connect(server.endpoint, reconnect_s=0) as session:
        world = session.open(model="fake", prompt="x", seed=2, mode="lockstep", delivery="every")
        world.record_start("killed")
        world.advance(40)
        os.kill(server.pid, signal.SIGKILL)
        server.wait()
    take = read_take(tmp_path / "takes" / "killed.take")
    assert len(take.blocks) >= 10
    assert not take.ended
    wait_for(lambda: not alive(generator), "the generator ended")
    server.stdout.close()


def test_local_server_in_processes_leaves_nothing_behind() -> None:
    with local_server("fake", factory="fakes:load") as local:
        generator = child_of(local.pid)
        with Session.connect(local.endpoint) as session:
            world = session.open(model="fake", prompt="x", mode="lockstep", delivery="every")
            assert len(world.advance(4)) == 4
    assert not alive(local.pid)
    wait_for(lambda: not alive(generator), "the generator ended")


def test_local_server_hands_on_why_it_cannot_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGTAKE_FAKE", json.dumps({"fail_to_load": "no weights here"}))
    with pytest.raises(ServerError, match="no weights here"), local_server("fake", factory="fakes:load"):
        pass


def test_a_models_own_prints_are_in_nobodys_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    loud = """
        import fakes
        print("loud")

        def load(*arguments, **named):
            print("l" * 200_000)  # more than a pipe holds
            return fakes.load(*arguments, **named)
    """
    (tmp_path / "loud_fakes.py").write_text(textwrap.dedent(loud))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("PYTHONIOENCODING", "utf-16")
    with local_server("fake", factory="loud_fakes:load") as local, Session.connect(local.endpoint) as session:
        world = session.open(model="fake", prompt="x", mode="lockstep", delivery="every")
        assert len(world.advance(4)) == 4
    printed = capfd.readouterr()
    assert printed.out == ""
    assert "l" * 1000 in printed.err.replace("\0", "")


def test_the_server_imports_no_torch() -> None:
    code = "import sys, longtake.runtime.server.process, longtake.runtime.server.local;sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def start_server(folder: Path) -> Any:
    """Start a server process as a user does, and wait until it is ready."""
    command = [sys.executable, "-m", "longtake.runtime.server.process", "--model", "fake", "--factory", "fakes:load"]
    environment = {**os.environ, "TMPDIR": str(folder)}
    process: Any = subprocess.Popen(
        [*command, "--takes", str(folder / "takes")], stdout=subprocess.PIPE, env=environment
    )
    process.endpoint = json.loads(process.stdout.readline())["endpoint"]
    return process


def child_of(pid: int) -> int:
    """Return the process id of a server's generator."""
    out = subprocess.run(["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False).stdout
    (child,) = [int(line) for line in out.split()]
    return child
