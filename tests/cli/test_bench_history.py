"""`longtake bench history` prints what is kept, and refuses a line that nobody could measure again."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]
ROOT = Path(__file__).resolve().parents[2]
RUN: dict[str, Any] = {
    "date": "2026-11-26",
    "commit": "29b96cb",
    "machine": "two cores",
    "command": "longtake bench live",
    "figures": {"fps": 16.0, "block_ms": 1132.5},
}


def lines(path: Path, *runs: Any) -> Path:
    path.write_text("".join(json.dumps(run, ensure_ascii=False) + "\n" for run in runs), encoding="utf-8")
    return path


def test_the_history_of_this_repository_is_whole(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    called = call("bench", "history")
    assert called.code == 0, called.err
    assert "longtake bench live --seconds 120" in called.out
    kept = (ROOT / "benchmarks" / "history.jsonl").read_text(encoding="utf-8").splitlines()
    told = json.loads(call("bench", "history", "--json").out)["runs"]
    assert [run["commit"] for run in told] == [json.loads(line)["commit"] for line in kept]


def test_runs_of_one_command_stand_in_one_table(call: Call, tmp_path: Path) -> None:
    other = {**RUN, "command": "longtake bench generator", "figures": {"fps": 40.25}}
    later = {**RUN, "commit": "c7c7cca", "figures": {"fps": 15.5}, "note": "the heater was on\u2028all day"}
    called = call("bench", "history", lines(tmp_path / "h.jsonl", RUN, other, later))
    assert called.code == 0, called.err
    live, generator = called.out.strip().split("\n\n")
    assert live.split("\n") == [
        "longtake bench live",
        "date        commit    fps  block_ms  machine",
        "----------  -------  ----  --------  ---------",
        "2026-11-26  29b96cb    16   1,132.5  two cores",
        "2026-11-26  c7c7cca  15.5         -  two cores",
        "c7c7cca: the heater was on\u2028all day",
    ]
    assert "40.25" in generator


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({name: value for name, value in RUN.items() if name != "commit"}, "`commit`"),
        ({name: value for name, value in RUN.items() if name != "figures"}, "`figures`"),
        ({**RUN, "commit": ""}, "commit '' is not 7 to 40 hexadecimal digits"),
        ({**RUN, "commit": "main"}, "git rev-parse --short HEAD"),
        ({**RUN, "commit": None}, "`$.commit`"),
        ({**RUN, "date": "26.11.2026"}, "not a day such as"),
        ({**RUN, "date": "2026-02-30"}, "not a day such as"),
        ({**RUN, "machine": " "}, "machine is empty"),
        ({**RUN, "command": ""}, "command is empty"),
        ({**RUN, "figures": {}}, "figures are empty"),
        ({**RUN, "figures": {"fps": "16"}}, "`$.figures[...]`"),
        ({**RUN, "figures": {"": 16}}, "not a number with a name"),
        ({**RUN, "hash": "29b96cb"}, "`hash`"),
        ([RUN], "`object`"),
    ],
)
def test_an_incomplete_line_is_refused_by_its_number(call: Call, tmp_path: Path, line: Any, said: str) -> None:
    called = call("bench", "history", lines(tmp_path / "h.jsonl", RUN, line, RUN))
    assert called.code == 2
    assert "h.jsonl, line 2: " in called.line
    assert said in called.line


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"{}\n", "line 1: "),
        (b"no json\n", "line 1: not a JSON object"),
        (b'{"date": NaN}\n', "line 1: not a JSON object"),
        (b"\xff\n", "cannot be read"),
    ],
)
def test_a_file_that_is_no_history(call: Call, tmp_path: Path, content: bytes, said: str) -> None:
    path = tmp_path / "h.jsonl"
    path.write_bytes(content)
    called = call("bench", "history", path)
    assert called.code == 2
    assert said in called.line


def test_a_blank_line_between_two_runs(call: Call, tmp_path: Path) -> None:
    path = tmp_path / "h.jsonl"
    path.write_text(f"{json.dumps(RUN)}\n\n{json.dumps(RUN)}\n", encoding="utf-8")
    assert "line 2: empty" in call("bench", "history", path).line


def test_outside_of_a_checkout(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert "no such file; run this in a checkout" in call("bench", "history").line
