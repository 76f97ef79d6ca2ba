"""Tables and JSON."""

import json
import math

import pytest

from longtake.runtime.cli.output import print_json, table


def test_a_table_has_straight_columns() -> None:
    lines = table([["name", "n"], ["a", "10"], ["long one", "2"]], right=(1,)).splitlines()
    assert lines == ["name       n", "--------  --", "a         10", "long one   2"]


def test_json_is_json_whatever_was_measured(capsys: pytest.CaptureFixture[str]) -> None:
    print_json({"a": math.nan, "b": [1.5, math.inf], "c": {"d": None}})
    assert json.loads(capsys.readouterr().out) == {"a": None, "b": [1.5, None], "c": {"d": None}}
