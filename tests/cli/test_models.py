"""`longtake models`: what is listed, what is missing, and what `pull` is asked for."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from longtake.model.diorama import spec as diorama_spec
from longtake.model.interface import model_names, model_spec
from longtake.runtime.cli import models

Call = Callable[..., Any]


def test_models_lists_the_registry(call: Call) -> None:
    told = json.loads(call("models", "--json").out)["models"]
    assert [row["name"] for row in told] == model_names()
    shown = call("models").out
    for row in told:
        assert row["ready"] is not bool(row["note"]), "what is not ready says why"
        assert row["licence"] in shown


def test_ready_means_every_file_is_there(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(diorama_spec, "bundled_folder", lambda: tmp_path)
    *others, last = diorama_spec.part_paths(tmp_path)
    for path in others:
        path.write_bytes(b"x" * models.MIB)
    row = models.listing(model_spec("diorama"))
    assert not row.ready
    assert row.note.startswith(f"missing {last.name}: ")
    last.write_bytes(b"")
    row = models.listing(model_spec("diorama"))
    assert row.ready
    assert row.size_mib == len(others)


def test_a_public_checkpoint_counts_what_is_in_the_folder(
    call: Call, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from longtake.model.longlive import table

    monkeypatch.setattr(table, "default_root", lambda: tmp_path)
    first, *others = table.known("longlive-1.3b").files
    (tmp_path / "models").mkdir()
    with (tmp_path / first.name).open("wb") as file:
        file.truncate(first.size_bytes)  # sparse
    row = models.listing(model_spec("longlive-1.3b"))
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
