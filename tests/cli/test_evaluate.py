import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


def test_a_model_is_measured_by_what_it_can_and_the_rest_is_said(
    call: Call, fake: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LONGTAKE_FAKE", json.dumps({"readings": False}))
    called = call("eval", "--quick", "--json", *fake)
    assert called.code == 0, called.err
    body = json.loads(called.out)
    assert {figure["measure"] for figure in body["figures"]} == {"drift"}
    assert set(body["skipped"]) == {"labels", "looks", "speed", "switch", "actions", "wording"}
    assert "no probe" in body["skipped"]["wording"]
    assert body["takes"] == {"done": 1, "of": 1}


def test_a_table_names_figures_and_what_was_not_measured(call: Call, fake: list[str], tmp_path: Path) -> None:
    kept = ["eval", "--quick", "--only", "wording,drift", "--output", tmp_path / "run", *fake]
    called = call(*kept, "--part", "2/2")
    assert called.code == 0, called.err
    assert "2 of 5 takes are there" in called.out
    called = call(*kept)
    assert "drift: change of detail" in called.out
    assert "takes are there" not in called.out
    assert len(list((tmp_path / "run").iterdir())) == 6


def test_the_report_and_the_sheets_are_written(call: Call, fake: list[str], tmp_path: Path) -> None:
    report, sheets = tmp_path / "report.html", tmp_path / "sheets"
    called = call("eval", "--quick", "--only", "wording", "--report", report, "--sheets", sheets, *fake)
    assert called.code == 0, called.err
    assert "held-out words" in report.read_text(encoding="utf-8")
    names = {f"{scene}.{kind}" for scene in ("day", "night", "rain", "snow", "fog") for kind in ("jpg", "webp", "gif")}
    assert {path.name for path in sheets.iterdir()} == names


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "look"], "did you mean looks?"),
        (["--only", "actions"], "no axes"),
        (["--part", "1/2"], "--output"),
        (["--part", "2", "--output", "x"], "1/2"),
        (["--drift", "2s"], "10 s or longer"),
        (["--report", "."], "is a folder"),
    ],
)
def test_bad_input_is_one_line(call: Call, fake: list[str], arguments: list[str], said: str) -> None:
    called = call("eval", *arguments, *fake)
    assert called.code == 2
    assert said in called.line
