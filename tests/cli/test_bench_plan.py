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
    assert {"denoise", "clean", "recache 4", "recache 8", "decode own"} <= {part["name"] for part in plan["parts"]}
    assert [row["measured_ms"] for row in plan["compared"]] == [10.0, 2.0]
    called = call("bench", "plan", "--model", "diorama", "--size", "192x320")
    assert called.code == 0, called.err
    assert "192 x 320" in called.out
    assert "computed, not measured" in called.out


def test_it_says_what_each_option_would_bring(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    from longtake.model.evaluation.plan_parts import DecoderCost
    from longtake.model.longlive.plan import LongLivePlan

    cost = DecoderCost(flop=5.27e11, bytes=2e9, weights_bytes=20_000_000, state_bytes=67_000_000, activation_bytes=4)
    monkeypatch.setattr(LongLivePlan, "decoders", lambda self, sizes: {"tiny": cost})
    called = call("bench", "plan", "--device", "h200")
    assert called.code == 0, called.err
    lines = {line.split("  ")[0].strip(): line for line in called.out.splitlines()}
    assert "saves ms" in lines["predicted from measured rates"]
    assert "+" in lines["--fast"]
    assert "-" in lines["--compile"]
    assert "November 2026" in called.out
    options = json.loads(call("bench", "plan", "--device", "h200", "--json").out)["options"]
    fast = next(option for option in options if option["option"] == "--fast")
    assert fast["fps"] == pytest.approx(12_000 / fast["block_ms"])
    assert fast["saved_ms"] > 0


def test_without_rates_nothing_is_predicted(call: Call) -> None:
    for device in ("h100", "4090"):  # diorama is too narrow for the one, nobody measured the other
        called = call("bench", "plan", "--model", "diorama", "--device", device)
        assert called.code == 0, called.err
        assert "predicted" not in called.out


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
