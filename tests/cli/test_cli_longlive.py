"""LongLive through the command line: its options, what is wrong with them, and a tiny random model from end to end."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from longtake.runtime.take import read_take

Call = Callable[..., Any]
# starts processes that import torch, diffusers and transformers
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
TINY = ["--model", "longlive-1.3b", "--random-weights", "tiny"]


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["render", "a fox", "--weights", "nowhere", "--model", "longlive-1.3b"], "nowhere"),
        (["render", "a fox", "--weights", "."], "--model longlive-1.3b"),
        (["render", "a fox", *TINY, "--decoder", "big"], "'big'"),
        (["render", "a fox", "--model", "longlive-1.3b", "--random-weights", "huge"], "'huge'"),
        (["serve", *TINY, "--text-encoder", "here"], "'here'"),
        (["serve", *TINY, "--option", "positions"], "name=value"),
        (["serve", *TINY, "--option", "positions=nearby"], "absolute"),
        (["play", "--headless", *TINY, "--option", "speed=2"], "there is no option speed"),
        (["run", "default", *TINY, "--option", "seed=x"], "must be a number"),
        (["bench", "generator", "--model", "longlive-1.3b", "--weights", "none"], "none"),
        (["render", "a fox", *TINY, "--endpoint", "tcp://127.0.0.1:9"], "--endpoint"),
        (["conformance", "--self", "--random-weights", "tiny"], "--self --model"),
        (["conformance", "--self", "--model", "longlife-1.3b"], "did you mean longlive-1.3b?"),
        (["conformance", "--self", "--model", "longlive-1.3b", "--weights", "."], "longtake models pull"),
        (["eval", *TINY], "has no probe"),
    ],
)
def test_what_cannot_be_done_is_one_line(call: Call, arguments: list[str], said: str) -> None:
    called = call(*arguments)
    assert called.code == 2
    assert said in called.line


def test_missing_weights_are_one_line_from_the_generator(call: Call) -> None:
    called = call("render", "a fox", "--model", "longlive-1.3b")
    assert called.code == 2
    assert "longtake models pull" in called.err.strip().splitlines()[-1]


def test_a_tiny_random_model_renders_and_replays(call: Call) -> None:
    """Through server and generator, each a process: the options reach the model there, too."""
    called = call(
        "render", "a fox", *TINY, "--option", "seed=3", "--seconds", "1", "--cue", "0.3s", "a fox at night",
        "--output", "f.mp4", "--record", "f.take", "--json",
    )  # fmt: skip
    assert called.code == 0, called.err
    body = json.loads(called.out)
    assert body["frames"] == 16
    assert [mark["label"] for mark in body["timeline"]][-1] == "a fox at night"
    assert Path("f.mp4").stat().st_size > 0
    assert read_take(Path("f.take")).header.model.weights == "random-tiny-3"
    replayed = call("replay", "f.take", "--random-weights", "tiny", "--option", "seed=3")
    assert replayed.code == 0, replayed.out + replayed.err


def test_options_reach_a_model_in_this_process(call: Call) -> None:
    called = call("bench", "generator", "--blocks", "1", *TINY, "--option", "seed=5", "--json")
    assert called.code == 0, called.err
    assert json.loads(called.out)["weights"] == "random-tiny-5"


def test_a_models_own_weights_are_checked(call: Call) -> None:
    called = call("conformance", "--self", "--json", *TINY)
    # eight bits may stray further than the tolerance on random weights; these may not
    exact = [case for case in json.loads(called.out)["cases"] if " maps" not in case["name"]]
    assert len(exact) >= 4
    assert all(case["passed"] for case in exact), exact
