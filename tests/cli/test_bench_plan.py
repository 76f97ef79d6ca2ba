"""`longtake bench plan`, on diorama, whose plan is quick to make."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Call = Callable[..., Any]


def test_a_plan_for_people_and_programs(call: Call, tmp_path: Path) -> None:
    measured = tmp_path / "m.json"
    body = {"model": "diorama", "regions_ms": {"denoise": 10.0, "clean": 2.0}, "recache_ms": None}
    measured.write_text(json.dumps(body), encoding="utf-8")
    called = call("bench", "plan", "--model", "diorama", "--measured", measured, "--json")
    assert called.code == 0, called.err
    plan = json.loads(called.out)
    assert {"denoise", "clean", "recache 8", "recache 9", "decode own"} <= {part["name"] for part in plan["parts"]}
    assert [row["measured_ms"] for row in plan["compared"]] == [10.0, 2.0]
    called = call("bench", "plan", "--model", "diorama", "--size", "192x320")
    assert called.code == 0, called.err
    assert "192 x 320" in called.out
    assert "computed, not measured" in called.out


def test_fp8_is_less(call: Call) -> None:
    limits = []
    for more in ([], ["--fp8"]):
        plan = json.loads(call("bench", "plan", "--model", "diorama", "--json", *more).out)
        limits.append(next(part["products_ms"] for part in plan["parts"] if part["name"] == "denoise"))
    assert limits[1] <= limits[0]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--device", "h1000"], "did you mean h100?"),
        (["--model", "dioramma"], "did you mean diorama?"),
        (["--size", "480"], "480x832"),
        (["--model", "diorama", "--size", "480x833"], "multiples of 16"),
        (["--measured", "none.json"], "none.json"),
        (["--model", "diorama", "--decoder", "wan"], "own"),
    ],
)
def test_what_cannot_be_planned_is_one_line(call: Call, arguments: list[str], said: str) -> None:
    called = call("bench", "plan", *arguments)
    assert called.code == 2
    assert said in called.line
