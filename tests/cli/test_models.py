"""`longtake models`: what is listed, what is missing, and what `pull` is asked for."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from longtake.runtime import registry
from longtake.runtime.cli import models

Call = Callable[..., Any]


def test_models_lists_the_registry(call: Call) -> None:
    told = json.loads(call("models", "--json").out)["models"]
    assert [row["name"] for row in told] == list(registry.MODELS)
    shown = call("models").out
    for row in told:
        assert row["ready"] is not bool(row["note"]), "what is not ready says why"
        assert row["licence"] in shown


def test_the_listed_files_are_those_that_are_loaded() -> None:
    from longtake.model.loading import DIORAMA_PARTS

    assert tuple(f"{part}.safetensors" for part in DIORAMA_PARTS) == models.BUNDLED_FILES


def test_ready_means_every_file_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(models, "bundled_folder", lambda: tmp_path)
    for name in models.BUNDLED_FILES[:-1]:
        (tmp_path / name).write_bytes(b"x" * models.MIB)
    row = models.bundled(registry.MODELS["diorama"])
    assert not row.ready
    assert row.note.startswith(f"missing {models.BUNDLED_FILES[-1]}: ")
    (tmp_path / models.BUNDLED_FILES[-1]).write_bytes(b"")
    row = models.bundled(registry.MODELS["diorama"])
    assert row.ready
    assert row.size_mib == len(models.BUNDLED_FILES) - 1


def test_a_public_checkpoint_counts_what_is_in_the_folder(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from longtake.model.longlive import table

    monkeypatch.setattr(table, "default_root", lambda: tmp_path)
    first, *others = table.known("longlive-1.3b").files
    (tmp_path / "models").mkdir()
    with (tmp_path / first.name).open("wb") as file:
        file.truncate(first.size_bytes)  # sparse
    row = models.pulled(registry.MODELS["longlive-1.3b"])
    assert not row.ready
    assert Path(first.name).name not in row.note
    assert all(Path(file.name).name in row.note for file in others)
    assert row.whole_mib == pytest.approx(20.386e9 / models.MIB, rel=1e-3)
    assert [file.path for file in row.files if file.complete] == [str(tmp_path / first.name)]
    assert sum(file.size_mib for file in row.files) == pytest.approx(row.whole_mib, abs=1)
    (tmp_path / "lora.pt").write_bytes(b"short")
    shown = call("models").out
    assert f"transformer: {first.name}  {tmp_path / first.name}" in shown
    assert f"lora: models/lora.pt  cut short: {tmp_path / 'lora.pt'}" in shown
    assert "Wan2.1_VAE.pth  not here" in shown


def test_pull_hands_over_to_the_hub(call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from longtake.model.longlive import hub

    asked: list[Any] = []

    def pull(model: Any, root: Path, *, report: Callable[[str], None], parts: list[str]) -> list[Path]:
        asked.append((model.name, root, parts))
        report("fetching it")
        return [root / "x"]

    monkeypatch.setattr(hub, "pull", pull)
    called = call("models", "pull", "longlive-1.3b", "--folder", tmp_path, "--part", "tiny decoder")
    assert called.code == 0, called.err
    assert asked == [("longlive-1.3b", tmp_path, ["tiny decoder"])]
    assert "not for commercial use" in called.out
    assert "fetching it\n1 files are there" in called.out
