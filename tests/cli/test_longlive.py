"""LongLive through the command line: its options, what is wrong with them, and a tiny random model from end to end."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from longtake.runtime.takes.file import read_take

Call = Callable[..., Any]
# starts processes that import torch, diffusers and transformers
pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]
GOLDENS = Path(__file__).parents[1] / "data" / "goldens"
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
        (["eval", "--only", "drift", "--weights", "."], "transformer.safetensors; reinstall longtake, or train them"),
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
        (["conformance", "--self", "--linear", "fp8"], "for cases only"),
        (["conformance", "--self", "--model", "diorama", "--compile"], "model diorama does not take --compile"),
        (["conformance", str(GOLDENS), "--option", "graphs=on"], "CUDA device"),
        (["conformance", str(GOLDENS), "--weights", "."], "cases bring their own"),
        (["conformance", "--self", "--model", "longlife-1.3b"], "did you mean longlive-1.3b?"),
        (["conformance", "--self", "--model", "longlive-1.3b", "--weights", "."], "longtake models pull"),
        (["eval", *TINY, "--only", "labels"], "has no probe"),
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
    header = read_take(Path("f.take")).header
    assert header.model.weights == "random-tiny-3"
    assert header.options == {"random_weights": "tiny", "seed": "3"}
    replayed = call("replay", "f.take")
    assert replayed.code == 0, replayed.out + replayed.err
    other = call("replay", "f.take", "--option", "seed=4")
    assert other.code == 1
    assert "seed was 3, is 4" in other.out


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


def test_random_weights_alone_are_tried_with_one_recache_and_one_block(call: Call) -> None:
    called = call("render", "--model", "longlive-1.3b", "--random-weights", "tiny", "--output", "t.mp4", "--json")
    assert called.code == 0, called.err
    body = json.loads(called.out)
    assert (body["frames"], body["recached_latent_frames"], body["at_latent_frame"]) == (12, 12, 15)
    assert Path("t.mp4").stat().st_size > 0
    assert Path("t.png").stat().st_size > 0
    assert body["minutes"]["recache"] > 0
    assert body["minutes"]["denoise"] > body["minutes"]["clean"] > 0
    assert body["minutes"]["in all"] > body["minutes"]["loading"]
    assert body["peak_memory_bytes"]["host"] > 50e6
    called = call("render", "--random-weights", "tiny")
    assert called.code == 2
    assert "--model longlive-1.3b" in called.line


def test_cases_are_run_with_any_back_end_and_every_block_is_shown(call: Call) -> None:
    called = call("conformance", GOLDENS)
    assert called.code == 0, called.out + called.err
    blocks = next(line for line in called.out.splitlines() if line.startswith("  b00 "))
    assert blocks.split()[::2] == [f"b{index:02d}" for index in range(6)]
    assert all(float(error) < 1e-5 for error in blocks.split()[1::2])
    assert "rope.safetensors: not a stream case" in called.out
    for arguments in (["--linear", "fp8"], ["--option", "cache=fp8"], ["--precision", "bf16"]):
        assert call("conformance", GOLDENS, *arguments).code == 0
        assert call("conformance", GOLDENS, *arguments, "--tolerance", "1e-5").code == 1
