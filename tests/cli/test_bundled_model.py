"""Commands on the bundled model, with the weights that ship."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from longtake.runtime.cli.models import listings

Call = Callable[..., Any]
DIORAMA = next(row for row in listings() if row.name == "diorama")
needs_weights = pytest.mark.skipif(not DIORAMA.ready, reason=f"diorama's weights are not here: {DIORAMA.note}")
pytestmark = pytest.mark.slow


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@needs_weights
def test_the_shipped_world_renders_and_replays(call: Call) -> None:
    rendered = call(
        "render", "a red balloon over a meadow by day", "--seconds", "2", "--cue", "0.5s", "the same at night",
        "--output", "x.mp4", "--record", "x.take",
    )  # fmt: skip
    assert rendered.code == 0, rendered.err
    assert call("replay", "x.take").code == 0


@needs_weights
def test_an_event_after_a_long_prompt_is_seen(call: Call, tmp_path: Path) -> None:
    """39 words, then `ocean` and `night`: the probe reads both, for whatever the long prompt said before."""
    prompt = (
        "a little red fox with bright eyes and a very long bushy tail runs happily and quickly through the tall green "
        "grass of a wide sunny meadow early in the day while the sky above is clear and calm"
    )
    scenario = {
        "name": "long",
        "template": prompt + ", {place}, {time}",
        "slots": {
            "place": {"default": "meadow", "values": {"meadow": "in a meadow", "ocean": "by the ocean"}},
            "time": {"default": "day", "values": {"day": "by day", "night": "at night"}},
        },
        "events": {"ocean": {"set": {"place": "ocean"}}, "night": {"set": {"time": "night"}}},
        "timeline": [{"tick": 16, "event": "ocean"}, {"tick": 16, "event": "night"}],
        "seconds": 7,
        "expect": {"adherence_min": {"place": 0.8, "time": 0.8}},
    }
    (tmp_path / "long.yaml").write_text(json.dumps(scenario), encoding="utf-8")
    called = call("run", "long.yaml", "--mode", "lockstep", "--json")
    assert called.code == 0, called.out


@needs_weights
def test_the_doctor_finds_the_shipped_weights(call: Call) -> None:
    findings = json.loads(call("doctor", "--json").out)["findings"]
    (found,) = (finding for finding in findings if finding["area"] == "weights" and finding["name"] == "diorama")
    assert found["state"] == "ok"
    assert "hash" in found["value"]


@needs_weights
def test_eval_counts_every_label_that_is_given_with_any_way_to_compute(call: Call, tmp_path: Path) -> None:
    lines = ["prompt\tplace\ttime\tweather\tactor\tcolour", "a red balloon over a meadow\tmeadow\t?\t?\tballoon\tred"]
    (tmp_path / "p.tsv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    called = call("eval", "--quick", "--prompts", "p.tsv", "--linear", "fp8", "--option", "cache=fp8", "--json")
    assert called.code == 0, called.err
    body = json.loads(called.out)
    assert body["options"] == {"linear": "fp8", "cache": "fp8"}
    scores = body["scores"]
    assert {name: score["trials"] for name, score in scores.items()} == {"5s.place": 1, "5s.actor": 1, "5s.colour": 1}
    for score in scores.values():
        low, high = score["interval_95"]
        assert 0 <= low <= score["rate"] <= high <= 1


@needs_weights
def test_eval_refuses_an_option_of_another_model(call: Call) -> None:
    called = call("eval", "--quick", "--linear", "fp8", "--decoder", "tiny")
    assert called.code == 2
    assert "diorama does not take --decoder" in called.line
