"""Tables and JSON."""

import json
import math

import pytest

from longtake.runtime.cli.main import run
from longtake.runtime.cli.output import print_json, table
from longtake.scenarios import loading
from longtake.scenarios.schema import Scenario


def test_a_table_has_straight_columns() -> None:
    lines = table([["name", "n"], ["a", "10"], ["long one", "2"]], right=(1,)).splitlines()
    assert lines == ["name       n", "--------  --", "a         10", "long one   2"]


def test_json_is_json_whatever_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": math.nan, "b": [1.5, math.inf], "c": {"d": None}})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [1.5, None], "c": {"d": None}}


def test_what_a_models_code_prints_is_not_among_the_json(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def loud() -> dict[str, Scenario]:
        print("loud")
        return {}

    monkeypatch.setattr(loading, "library", loud)
    assert run(["scenarios", "--json"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out) == []
    assert printed.err == "loud\n"
    assert run(["scenarios"]) == 0
    assert capsys.readouterr().out.startswith("loud\n")
