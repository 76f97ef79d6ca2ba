"""Every mistake is one line that says what to do, with exit code 2, and nothing is left behind."""

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from longtake.runtime.cli import hosting

Call = Callable[..., Any]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rnu"], "did you mean run?"),
        (["RUN"], "did you mean run?"),
        (["run", "DEFAULT"], "did you mean default?"),
        (["run", "default", "--SECONDS", "5"], "did you mean --seconds?"),
        (["run"], "scenario"),
        (["run", "defualt"], "did you mean default?"),
        (["run", "no/such.yaml"], "no/such.yaml"),
        (["run", "takes.jsonl"], "takes.jsonl"),
        (["run", "default", "--mode", "fast"], "fast"),
        (["run", "default", "--switch-latents", "4"], "--switch-latents"),
        (["run", "default", "--seconds", "0"], "'0'"),
        (["run", "default", "--model", "dioramma"], "did you mean diorama?"),
        (["run", "default", "--record", "x.mp4"], ".take"),
        (["play", "defualt"], "did you mean default?"),
        (["render"], "--scenario"),
        (["render", "a fox", "--scenario", "default"], "--scenario"),
        (["render", " "], "1 to 2000"),
        (["render", ", ,"], "1 to 2000"),
        (["render", "\x00\x1b"], "1 to 2000"),
        (["render", "x" * 100_000], "1 to 2000"),
        (["render", "a \udcff fox"], "UTF-8"),
        (["render", "a fox", "--cue", "1s", "\t"], "1 to 2000"),
        (["play", "--prompt", ""], "1 to 2000"),
        (["render", "a fox", "--seconds", "soon"], "'soon'"),
        (["render", "a fox", "--seed", "-1"], "'-1'"),
        (["render", "a fox", "--output", "fox.avi"], ".mp4"),
        (["render", "a fox", "--cue", "x", "night"], "--cue"),
        (["render", "a fox", "--endpoint", "nowhere"], "nowhere"),
        (["serve", "nigth-train"], "did you mean night-train?"),
        (["serve", "--empty", "defualt"], "did you mean default?"),
        (["serve", "no/such.yaml"], "no/such.yaml: no such scenario file"),
        (["serve", "prompts.txt"], "prompts.txt: run, render and play take prompt files"),
        (["serve", "."], ".: give a file that ends in .yaml"),
        (["serve", "/etc/passwd"], "/etc/passwd: give a file that ends in .yaml"),
        (["serve", ""], "an empty name: give a file that ends in .yaml"),
        (["run", "scenarios/library/default"], "ends in .yaml"),
        (["serve", "--bind", "tcp://0.0.0.0:5570"], "ssh -L"),
        (["serve", "--bind", "udp://127.0.0.1:1"], "tcp://HOST:PORT"),
        (["serve", "--bind", "inproc://mine"], "tcp://127.0.0.1:PORT"),
        (["serve", "--threads", "many"], "'many'"),
        (["serve", "--threads", "9999"], "9999 threads are too many here"),
        (["render", "a fox", "--cue", "9" * 400 + "s", "night"], "more than 24 hours"),
        (["render", "a fox", "--switch-latents", "4"], "--switch-latents"),
        (["render", "\u200b"], "1 to 2000 visible"),
        (["render", "prompts.txt"], "prompts.txt: no such prompt file"),
        (["render", "--scenario", "prompts.jsonl"], "prompts.jsonl: no such prompt file"),
        (["play", "prompts.txt"], "prompts.txt: no such prompt file"),
        (["play", "default", "--line", "2"], "--line 2: default has 1"),
        (["run", "~no-such-user-here/x.yaml"], "no-such-user-here"),
        (["join", "tcp://127.0.0.1:x"], "port"),
        (["join"], "display"),
        (["replay", "none.take"], "none.take"),
        (["bench"], "KIND"),
        (["bench", "generator", "--blocks", "0"], "'0'"),
        (["eval", "--prompts", "none.tsv"], "none.tsv"),
        (["conformance"], "--self"),
        (["conformance", "nowhere"], "nowhere"),
        (["train", "everything"], "transformer"),
        (["models", "--bogus"], "--bogus"),
        (["models", "pull"], "model"),
        (["models", "pull", "diorama"], "needs no fetching"),
        (["models", "pull", "longlive"], "did you mean longlive-1.3b?"),
    ],
)
def test_bad_input_is_one_line(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, arguments: list[str], said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("longtake.runtime.cli.evaluate.check_hosting", lambda *_: None)
    called = call(*arguments)
    assert called.code == 2
    assert said in called.line
    assert called.line.startswith("longtake")
    assert list(tmp_path.iterdir()) == []


def test_outputs_that_cannot_be_written_are_found_out_before_a_model_is_loaded(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "old.take").write_text("")
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "fox.png").write_bytes(b"not ours")
    (tmp_path / "bad.txt").write_text("a fox\n\u200b\n", encoding="utf-8")
    (tmp_path / "two.txt").write_text("a fox\na bird\n", encoding="utf-8")
    (tmp_path / "film-2.mp4").write_bytes(b"not ours")
    for name in ("gone.mp4", "gone.take"):
        (tmp_path / name).symlink_to("nowhere")
    before = sorted(tmp_path.iterdir())
    for arguments, said in (
        (["render", "a fox", "--output", tmp_path / "gone.mp4"], "gone.mp4 exists and is no film of ours"),
        (["run", "default", "--record", tmp_path / "gone.take"], "never overwritten"),
        (["render", "a fox", "--output", tmp_path / "fox.mp4"], "fox.png exists and is no film of ours"),
        (["render", "a fox", "--output", tmp_path / "film-2.mp4"], "film-2.mp4 exists and is no film of ours"),
        (["render", tmp_path / "two.txt", "--output", tmp_path / "film.mp4"], "film-2.mp4 exists and is no film"),
        (["render", tmp_path / "bad.txt"], "bad.txt:2: expected a text"),
        (["run", tmp_path / "bad.txt"], "bad.txt:2: expected a text"),
        (["play", "--headless", tmp_path / "bad.txt"], "bad.txt:2: expected a text"),
        (["eval", "vbench", tmp_path / "bad.txt"], "bad.txt:2: expected a text"),
        (["render", tmp_path / "two.txt", "--record", tmp_path / "x.take"], "a prompt file may hold many"),
        (["render", "a fox", "--output", tmp_path / "folder.mp4"], "is a folder"),
        (["render", "a fox", "--output", tmp_path / "file" / "x.mp4"], "is no folder"),
        (["render", "a fox", "--record", tmp_path / "old.take"], "never overwritten"),
        (["render", "a fox", "--record", tmp_path / "file" / "a" / "x.take"], "is no folder"),
        (["run", "default", "--record", tmp_path / "old.take"], "never overwritten"),
        (["run", "default", "--record", tmp_path / "bad\udcff.take"], "it is no UTF-8 text"),
        (
            ["run", "default", "--record", tmp_path / "fox: at dawn.take"],
            "'fox: at dawn.take' is no file name for a take",
        ),
        (["render", "a fox", "--record", tmp_path / "a\tb.take"], "is no file name for a take"),
        (["render", "a fox", "--record", tmp_path / ("x" * 150 + ".take")], "more than 120 bytes"),
        (["serve", "--bind", "ipc://bad\udcff"], "bytes of UTF-8 text"),
    ):
        called = call(*arguments)
        assert called.code == 2
        assert said in called.line
    assert sorted(tmp_path.iterdir()) == before


def test_hosting_without_torch_says_what_to_install(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hosting, "find_spec", lambda name: None)
    for arguments in (["play", "--headless"], ["run", "default"], ["serve"], ["bench", "generator"], ["eval"]):
        called = call(*arguments)
        assert called.code == 2
        assert "pip install 'longtake[host]'" in called.line


def test_no_server_there(call: Call) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        called = call("run", "default", "--endpoint", f"tcp://127.0.0.1:{port}")
    assert called.code == 2
    assert "longtake serve" in called.line


def test_port_in_use(call: Call, fake: list[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        called = call("serve", "--bind", f"tcp://127.0.0.1:{taken.getsockname()[1]}", *fake)
    assert called.code == 2
    assert "in use" in called.line


def test_a_scenario_with_a_mistake_names_file_and_key(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("name: mine\ntemplate: a fox\nsecnods: 5\n", encoding="utf-8")
    called = call("run", path)
    assert called.code == 2
    assert "mine.yaml:3" in called.line
    assert "secnods" in called.line


def test_a_file_that_is_no_take(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "x.take"
    for data in (b"", b"not a take\n", b"not a take\nin two lines\nor three", bytes(range(256)) * 20):
        path.write_bytes(data)
        called = call("replay", path)
        assert called.code == 2
        assert "no take file" in called.line
