"""`longtake bench generator` of a configuration alone."""

import json
import math
from collections.abc import Callable
from typing import Any

import pytest

from longtake.runtime.cli.bench import shown

Call = Callable[..., Any]


def test_a_preset_with_a_field_changed(call: Call) -> None:
    called = call(
        "bench", "generator", "--preset", "tiny", "--set", "layers=3", "--blocks", "2", "--threads", "1", "--json"
    )
    assert called.code == 0, called.err
    told = json.loads(called.out)
    assert (told["model"], told["weights"], told["threads"]) == ("tiny", "random", 1)
    assert told["frames"] == 24
    assert set(told["arithmetic"]["recaches_of_a_block"]) == {"keep", "refresh"}
    assert told["arithmetic"]["matmul_rates"]["fp32, 1 thread"] > 0
    more = call("bench", "generator", "--preset", "tiny", "--blocks", "2", "--precision", "fp32")
    assert more.code == 0, more.err
    assert "matmul_rates" in more.out
    assert "arithmetic" not in more.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--preset", "huge"], "no model is called 'huge'; there are"),
        (["--preset", "tiny", "--set", "layers"], "--set 'layers' is not FIELD=VALUE"),
        (["--set", "depth=3"], "no field is called 'depth'"),
        (["--preset", "tiny", "--linear", "te-fp8"], "needs a CUDA device"),
    ],
)
def test_what_cannot_be_measured_is_said(call: Call, arguments: list[str], message: str) -> None:
    called = call("bench", "generator", *arguments)
    assert called.code != 0
    assert message in called.err


def test_figures_for_people() -> None:
    assert shown({"p50": 1.234, "p95": math.nan, "max": None}) == "p50 1.23, p95 -, max -"
    assert shown(12345.6) == "12346"
    assert shown({}) == "-"
