"""`longtake bench plan --train`."""

import json
from collections.abc import Callable
from typing import Any

import pytest

Call = Callable[..., Any]


@pytest.fixture(autouse=True)
def vae(monkeypatch: pytest.MonkeyPatch) -> None:
    """Decoders are counted by diffusers, which need not be there."""
    from longtake.model.evaluation.plan_parts import DecoderCost
    from longtake.model.longlive.plan import LongLivePlan

    cost = DecoderCost(flop=1e13, bytes=1e10, weights_bytes=10**8, state_bytes=10**9, activation_bytes=10**9)
    monkeypatch.setattr(LongLivePlan, "decoders", lambda self, sizes: {"wan": cost})


def test_a_plan_for_people_and_programs(call: Call) -> None:
    called = call("bench", "plan", "--train")
    assert called.code == 0, called.err
    for said in ("8 x H100 SXM", "self-forcing", "streaming", "optimiser", "fits", "nothing of it measured"):
        assert said in called.out
    called = call("bench", "plan", "--train", "--gpus", "64", "--device", "h200", "--json")
    assert called.code == 0, called.err
    plan = json.loads(called.out)
    assert plan["gpus"] == 64
    assert [stage["stage"] for stage in plan["stages"]] == ["trajectories", "ode-init", "self-forcing", "streaming"]
    assert all(stage["hours"] > 0 for stage in plan["stages"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--model", "diorama"], "--train plans longlive-1.3b, not diorama"),
        (["--fp8"], "goes without --fp8"),
        (["--gpus", "12"], "12 GPUs are not whole nodes of 8"),
    ],
)
def test_what_cannot_be_planned_is_one_line(call: Call, arguments: list[str], said: str) -> None:
    called = call("bench", "plan", "--train", *arguments)
    assert called.code == 2
    assert said in called.err
    assert called.err.strip().count("\n") == 0
