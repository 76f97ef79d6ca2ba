"""The README's commands, taken from the file and run one after the other on the fake model, and its Python example.

What would take minutes is shortened by an argument. What needs a network, another machine or a GPU is named in
`ELSEWHERE`: a new kind of line has to be added there, or run.
"""

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import av
import pytest

from longtake.clients.player.player import Player
from longtake.model.diorama.labels import LABELS
from longtake.runtime.cli.main import run
from longtake.runtime.server.local import local_server

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
FAKES = str(ROOT / "tests" / "runtime")
ELSEWHERE = ("git clone", "python3 -m venv", ".venv/bin/pip", "ssh -L", "make play")
"""beginnings of lines that are not longtake's"""
NOT_HERE = ("models pull", "serve --model longlive-1.3b", "eval", "bench generator")
"""commands that need downloads, or the bundled model for minutes; `test_documented` checks their arguments"""
SHORTER = {"play": ["--seconds", "1"], "run default": ["--seconds", "2"], "bench live": ["--seconds", "8"]}
"""arguments added to a command"""


def lines() -> Iterator[str]:
    """Yield every line of the README's shell blocks, without comments."""
    for block in re.findall(r"^```sh\n(.*?)^```", README, re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            words = shlex.split(line, comments=True)
            if words:
                yield shlex.join(words)


def commands() -> list[str]:
    """Return the commands of longtake, in order, without the program's name."""
    named = (re.sub(r"^(\.venv/bin/)?longtake ", "", line) for line in lines() if not line.startswith(ELSEWHERE))
    return list(dict.fromkeys(named))


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(FAKES)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [FAKES, os.environ.get("PYTHONPATH", "")])))
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "LONGTAKE_FAKE", "SDL_VIDEODRIVER"):
        monkeypatch.delenv(name, raising=False)
    return ["--factory", "fakes:load_steered"]


def texts_of(film: Path) -> list[str]:
    """The prompts in a film's subtitle track."""
    with av.open(str(film)) as container:
        texts = (bytes(packet)[2:].decode() for packet in container.demux(subtitles=0) if packet.size)
        return [text for text in texts if text]


def test_every_line_is_known() -> None:
    for line in lines():
        assert line.startswith((*ELSEWHERE, "longtake ", ".venv/bin/longtake ")), line
    assert len(commands()) > 10


@pytest.mark.timeout(400)
def test_the_commands_run_one_after_the_other(fake: list[str], tmp_path: Path) -> None:
    for line in commands():
        if line.startswith((*NOT_HERE, "serve", "join")):
            continue
        words = shlex.split(line)
        more = next((added for start, added in SHORTER.items() if line.startswith(start) and "--mode" not in line), [])
        model = [] if words[0] in ("scenarios", "doctor", "models") else fake
        code = run([*words, *more, *model])
        # on the fake model expectations of pictures fail, which is 1
        assert code in ((0, 1) if words[0] in ("run", "doctor") else (0,)), line
    assert (tmp_path / "renders" / "default.mp4").is_file()
    assert texts_of(tmp_path / "fox.mp4") == [
        "a white fox in a snowy forest at night",
        "a white fox in a snowy forest at night, the same fox at dawn",
    ]


def test_serve_then_join(fake: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    serve = next(line for line in commands() if line.startswith("serve") and "longlive" not in line)
    assert any(line.startswith("join") for line in commands())
    server = subprocess.Popen(
        [sys.executable, "-m", "longtake", *shlex.split(serve), "--bind", "tcp://127.0.0.1:0", "--json", *fake],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        while (said := json.loads(server.stdout.readline()))["state"] != "ready":
            continue
        assert joined(said["endpoint"], monkeypatch) == shlex.split(serve)[1]
    finally:
        server.terminate()
        server.communicate(timeout=30)


def joined(endpoint: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Join in a window that nobody sees until a frame is there; return the name of the world's script."""
    monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
    monkeypatch.setattr("longtake.runtime.cli.join.open_display", lambda: "")
    seen: list[str] = []
    turn: Callable[..., Any] = Player.turn

    def turn_and_look(player: Player, patience_s: float) -> None:
        turn(player, patience_s)
        if player.state.frame is not None:
            seen.append(player.state.script.name)
            player.quit()

    monkeypatch.setattr(Player, "turn", turn_and_look)
    assert run(["join", endpoint]) == 0
    return seen[-1]


def test_the_python_example(fake: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", README, re.MULTILINE | re.DOTALL)
    with local_server("diorama", factory="fakes:load") as local:
        exec(code.replace("tcp://127.0.0.1:5570", local.endpoint), {})
    assert len(capsys.readouterr().out.splitlines()) == 16


def test_the_table_of_what_diorama_knows() -> None:
    rows = dict(re.findall(r"^\| (\w+) \| ([a-z, ]+) \|$", README, re.MULTILINE))
    assert {kind: rows[kind].split(", ") for kind in LABELS} == {kind: list(labels) for kind, labels in LABELS.items()}


def test_make_play_asks_for_room_first() -> None:
    plan = subprocess.run(["make", "-n", "play", "VENV=/nowhere"], cwd=ROOT, capture_output=True, text=True, check=True)
    steps = plan.stdout.splitlines()
    assert next(n for n, step in enumerate(steps) if ".ci/install-host" in step) < next(
        n for n, step in enumerate(steps) if step.endswith("longtake play")
    )
