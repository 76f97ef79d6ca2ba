"""Training cases: they pass, and whatever is wrong fails by name; LONGTAKE_GOLDENS names a folder with more of them."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from longtake.model.errors import CaseError
from longtake.model.evaluation.conformance import NOT_A_CASE, run_case_dir
from longtake.model.training.conformance.run import run_training_case, with_training

HERE = Path(__file__).parents[3] / "data" / "goldens"
FOLDERS = [HERE, *([Path(os.environ["LONGTAKE_GOLDENS"])] if os.environ.get("LONGTAKE_GOLDENS") else [])]
NAME = "training.safetensors"
CUT_DOWN = {"timestep", "critic/mid", "critic/mid_mask", "critic/low", "rollout/exit2", "stream/switch21"}


def changed(tmp_path: Path, change: Callable[[dict[str, Any], dict[str, Any]], object]) -> Path:
    """The cut-down case with its tensors and metadata changed."""
    for name in ("config.json", "model.safetensors"):
        (tmp_path / name).write_bytes((HERE / name).read_bytes())
    with safe_open(HERE / NAME, "pt") as file:
        meta = json.loads(file.metadata()["meta"])
    tensors = load_file(HERE / NAME)
    change(tensors, meta)
    save_file(tensors, tmp_path / NAME, {"meta": json.dumps(meta)})
    return tmp_path / NAME


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: "here" if folder == HERE else "LONGTAKE_GOLDENS")
def test_every_part(folder: Path) -> None:
    if not (folder / NAME).exists():
        pytest.skip("the folder has no training case")
    results = list(run_training_case(folder / NAME))
    assert {result.name.removeprefix(f"{NAME} ") for result in results} >= CUT_DOWN
    assert all(result.passed for result in results), "\n".join(f"{r.summary()} {r.by_block()}" for r in results)
    assert all(": ok, " in result.summary() for result in results)


def test_a_folders_training_case_is_run_beside_its_stream_cases() -> None:
    results = list(with_training(run_case_dir(HERE), HERE))
    assert {result.name for result in results if result.skipped == NOT_A_CASE} == {
        "rope.safetensors",
        "scheduler.safetensors",
    }
    assert "stream.safetensors" in {result.name for result in results}
    assert sum(result.name.startswith(NAME) for result in results) == len(CUT_DOWN)


@pytest.mark.parametrize(
    ("field", "value", "parts"),
    [
        ("score_shift", 5.0, {"timestep", "critic/mid", "critic/mid_mask", "critic/low"}),
        ("timestep_shift", 4.0, CUT_DOWN),
        ("window", 9, {"rollout/exit2", "stream/switch21"}),
    ],
)
def test_wrong_semantics_fail(tmp_path: Path, field: str, value: float, parts: set[str]) -> None:
    path = changed(tmp_path, lambda tensors, meta: meta["training"].update({field: value}))
    failed = {result.name.removeprefix(f"{NAME} ") for result in run_training_case(path) if not result.passed}
    assert failed == parts


def test_a_wrong_gradient_fails_and_says_which(tmp_path: Path) -> None:
    key = "rollout/exit2/gradnorm_carried"
    path = changed(tmp_path, lambda tensors, meta: tensors.update({key: tensors[key] * 1.001}))
    (failed,) = (result for result in run_training_case(path) if not result.passed)
    assert "rollout/exit2: FAILED" in failed.summary()
    assert key in failed.by_block()


def test_half_precision_is_passed_over() -> None:
    (result,) = run_training_case(HERE / NAME, dtype=torch.bfloat16)
    assert result.skipped is not None
    assert "--precision fp32" in result.summary()


def test_other_files_are_no_training_cases() -> None:
    assert list(run_training_case(HERE / "stream.safetensors")) == []


def test_damaged_cases_say_why(tmp_path: Path) -> None:
    path = changed(tmp_path, lambda tensors, meta: tensors.pop("critic/noise"))
    with pytest.raises(CaseError, match="lacks critic/noise"):
        list(run_training_case(path))
    path = changed(tmp_path, lambda tensors, meta: tensors.pop("fake/model.head.head.weight"))
    with pytest.raises(CaseError, match="Missing key"):
        list(run_training_case(path))
    (tmp_path / NAME).write_bytes(b"not a safetensors file")
    with pytest.raises(CaseError, match="cannot be read"):
        list(run_training_case(tmp_path / NAME))
