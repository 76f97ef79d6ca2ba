import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from longtake.model.errors import CheckpointError
from longtake.model.evaluation.clip_score import Segment, clip_score, load_clip, prepared, score_film, segments


class Colours:
    """An embedder that knows red from blue."""

    def pictures(self, frames: np.ndarray) -> Tensor:
        mean = torch.from_numpy(frames).float().mean((1, 2))[:, [0, 2]]
        return torch.nn.functional.normalize(mean, dim=-1)

    def text(self, prompt: str) -> Tensor:
        return torch.tensor([1.0, 0.0] if "red" in prompt else [0.0, 1.0])


def test_a_film_is_cut_at_its_cues() -> None:
    assert segments("a", [(8, "b"), (20, "c")], 16) == [
        Segment(prompt="a", first=0, end=8), Segment(prompt="b", first=8, end=16),
    ]  # fmt: skip
    assert segments("a", [(0, "b"), (4, "c")], 8) == [
        Segment(prompt="b", first=0, end=4), Segment(prompt="c", first=4, end=8),
    ]  # fmt: skip


def test_each_segment_is_held_against_its_own_prompt() -> None:
    frames = np.zeros((6, 4, 4, 3), np.uint8)
    frames[:4, ..., 0] = 200  # red, one frame longer than its prompt
    frames[4:, ..., 2] = 200
    parts = segments("red", [(6, "blue")], 12)
    assert score_film(frames, [0, 2, 4, 6, 8, 10], parts, Colours()) == pytest.approx([100, 100 * 2 / 3])
    with pytest.raises(ValueError, match="no frame from tick 6 to 12"):
        score_film(frames[:1], [0], parts, Colours())


def test_pictures_are_resized_cropped_and_normalised() -> None:
    frames = np.full((2, 12, 30, 3), 255, np.uint8)
    frames[:, :, :9] = 0  # outside the crop
    seen = prepared(frames, 8)
    assert seen.shape == (2, 3, 8, 8)
    assert seen[0, :, 4, 4].tolist() == pytest.approx([1.9303, 2.0749, 2.1459], abs=1e-3)


@pytest.mark.slow
def test_a_tiny_clip_in_a_folder(tmp_path: Path) -> None:
    transformers = pytest.importorskip("transformers")
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    ends = {"bos_token_id": 256 * 2, "eos_token_id": 256 * 2 + 1, "pad_token_id": 256 * 2 + 1}
    config = transformers.CLIPConfig(
        text_config={**sizes, **ends, "vocab_size": 514, "max_position_embeddings": 16},
        vision_config={**sizes, "image_size": 16, "patch_size": 8}, projection_dim=8,
    )  # fmt: skip
    transformers.CLIPModel(config).save_pretrained(tmp_path)
    letters = [chr(c) for c in range(33, 127)]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters)]
    vocabulary = {token: index for index, token in enumerate(tokens)}
    vocabulary |= {"<|startoftext|>": 512, "<|endoftext|>": 513}
    (tmp_path / "vocab.json").write_text(json.dumps(vocabulary))
    (tmp_path / "merges.txt").write_text("#version: 0.2\n")
    clip = load_clip(tmp_path)
    pictures, text = (
        clip.pictures(np.random.default_rng(0).integers(0, 255, (3, 24, 32, 3), np.uint8)),
        clip.text("a fox"),
    )
    assert pictures.shape == (3, 8)
    assert pictures.norm(dim=-1).tolist() == pytest.approx([1, 1, 1], abs=1e-5)
    assert float(text.norm()) == pytest.approx(1, abs=1e-5)
    assert -100 <= clip_score(pictures, text) <= 100
    assert not torch.equal(text, clip.text("a boat"))
    assert clip.text("fox " * 40).shape == (8,)


def test_a_folder_without_clip_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"config.json is missing$"):
        load_clip(tmp_path)
    (tmp_path / "open_clip_config.json").write_text("{}")
    with pytest.raises(CheckpointError, match="files for transformers"):
        load_clip(tmp_path)
