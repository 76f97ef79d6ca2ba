"""The agent in JavaScript, run by Node.js against the real server."""

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients.real_server import real_server

AGENT = Path(__file__).parents[3] / "clients/agents/lamplighter.cjs"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not installed")
    for package in ("zeromq", "@msgpack/msgpack"):
        look = f'require.resolve("{package}", {{ paths: ["{AGENT.parent.as_posix()}"] }})'
        if subprocess.run([node, "-e", look], capture_output=True, check=False).returncode:
            pytest.skip(f"Node.js finds no package {package}: npm install --no-save zeromq @msgpack/msgpack")
    command = [node, str(AGENT), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)


def test_it_directs_a_world_by_what_it_sees(tmp_path):
    with real_server(tmp_path, endpoint="tcp://127.0.0.1:0") as server:
        done = run("--endpoint", server.endpoint, "--seconds", "16", "--seed", "9")
        assert (done.returncode, done.stderr) == (0, "")
        assert server.worlds == [], "it has closed its world"
        (opened,) = server.got["open"]
        assert (opened.seed, opened.mode, opened.script.name) == (9, "lockstep", "lamplighter")
        # The test's pictures are dark until the ticks in their green channel make them bright.
        assert [event.name for event in server.got["event"]] == ["day", "night"]
        first, second = done.stdout.splitlines()
        assert first.startswith("4.0 s  brightness 0.20  day from tick ")
        assert "night from tick" in second
        assert len(server.got["control"]) == 1 + 16 * 16 // server.info.block_frames, "advances, and one close"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--endpoint", "localhost:5570"), "--endpoint is tcp://HOST:PORT or ipc://PATH"),
        (("--seconds", "long"), "--seconds and --seed are such as 60 and 1"),
        (("--seed", "9007199254740993"), "--seconds and --seed are such as 60 and 1"),
    ],
)
def test_wrong_arguments_are_one_line(arguments, says):
    done = run(*arguments)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", says + "\n")


def test_a_refusal_is_one_line(tmp_path):
    with real_server(tmp_path, endpoint="tcp://127.0.0.1:0") as server:
        done = run("--endpoint", server.endpoint, "--model", "nope")
        assert (done.returncode, done.stderr) == (1, "this server has no model 'nope'; it has: diorama\n")


def test_a_server_that_ends_is_one_line(tmp_path):
    node = shutil.which("node")
    run("--seconds", "nothing")  # skips without Node.js or its packages
    assert node is not None
    with real_server(tmp_path, endpoint="tcp://127.0.0.1:0") as server:
        command = [node, str(AGENT), "--endpoint", server.endpoint, "--seconds", "9999"]
        agent = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        assert agent.stdout is not None
        assert "day from tick" in agent.stdout.readline()
    out, error = agent.communicate(timeout=30)
    assert (agent.returncode, error.count("\n")) == (1, 1), (out, error)
    assert "server" in error or "world" in error
