"""Prompt files that are encoded once."""

import sys
from pathlib import Path

import pytest
import torch

from longtake.model.errors import CheckpointError, TrainingError
from longtake.model.longlive.umt5 import RandomText
from longtake.model.training.data import texts
from longtake.model.training.data.texts import WAN_NEGATIVE, TextFolder, open_encoder

RANDOM = RandomText(16, 32, torch.device("cpu"), torch.float32)


def encode(folder: Path, *files: Path) -> None:
    arguments = ["texts", "--rehearsal", "--out", str(folder), *(a for file in files for a in ("--prompts", str(file)))]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", arguments)
        texts.main()


def test_prompts_of_all_files_and_the_negative_one_are_encoded(tmp_path: Path) -> None:
    first, second = tmp_path / "a.txt", tmp_path / "b.txt"
    first.write_text("a fox\na  boat\n")
    second.write_text("the fox runs\na boat\n")
    encode(tmp_path / "texts", first, second)
    folder = TextFolder(tmp_path / "texts")
    assert folder.lacking(["a fox", "a boat", "the fox runs", WAN_NEGATIVE, "a bird"]) == ["a bird"]
    tokens = folder.read("the fox runs")
    assert tokens.shape == (4, 32), "without the padding"
    torch.testing.assert_close(tokens.float(), RANDOM.encode(["the fox runs"])[0, :4], rtol=0.01, atol=0.01)
    assert len(list((tmp_path / "texts").glob("*.safetensors"))) == 4, "spaces do not tell prompts apart"


def test_only_what_is_missing_is_encoded(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a fox\n")
    encode(tmp_path / "texts", tmp_path / "a.txt")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "texts").iterdir()}
    (tmp_path / "a.txt").write_text("a fox\na boat\n")
    encode(tmp_path / "texts", tmp_path / "a.txt")
    after = {path: path.stat().st_mtime_ns for path in (tmp_path / "texts").iterdir()}
    assert len(after) == len(before) + 1
    assert {path: after[path] for path in before} == before


def test_what_does_not_fit_is_one_line(tmp_path: Path) -> None:
    folder = TextFolder(tmp_path / "texts")
    with pytest.raises(TrainingError, match="is no folder of encoded prompts; make it with `longtake train texts`"):
        folder.check(["a fox"], 32)
    folder.claim("one", 32)
    with pytest.raises(TrainingError, match="prompts of another text encoder; choose another folder"):
        folder.claim("another", 32)
    with pytest.raises(TrainingError, match="holds text of width 32, the model wants 4096"):
        folder.check(["a fox"], 4096)
    folder.write("a fox", torch.ones(3, 32))
    with pytest.raises(TrainingError, match="lacks the text of 1 of 2 prompts, the first 'a boat'"):
        folder.check(["a fox", "a boat"], 32)
    next((tmp_path / "texts").glob("*.safetensors")).write_bytes(b"cut short")
    with pytest.raises(TrainingError, match="is damaged; delete it and encode it again"):
        folder.read("a fox")
    with pytest.raises(CheckpointError, match="has no text encoder"):
        open_encoder(tmp_path, "cpu")
