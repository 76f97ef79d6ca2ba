"""Weights in one file or several."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from longtake.model.config import preset
from longtake.model.diorama.files import digest
from longtake.model.errors import CheckpointError
from longtake.model.pieces import pieces
from longtake.model.training.weights import half, write_weights
from longtake.model.weights import fill, read, read_sampler, read_sizes

SIZES = replace(preset("tiny").transformer, actions=2)


def layers() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(*(nn.Linear(100, 100) for _ in range(4)))


def test_large_weights_are_split_and_read_as_one(tmp_path: Path) -> None:
    path, module = tmp_path / "part.safetensors", layers()
    state = half(module.state_dict())
    whole = write_weights(state, path)
    assert whole == [path] == pieces(path)
    split = write_weights(state, path, sizes=SIZES, most_bytes=30_000)
    assert [each.name for each in split] == [f"part-{n}-of-4.safetensors" for n in (1, 2, 3, 4)]
    assert not path.exists(), "the file that was there is replaced"
    assert all(each.stat().st_size < 32_000 for each in split)
    assert pieces(path) == split
    other = nn.Sequential(*(nn.Linear(100, 100) for _ in range(4)))
    fill(other, path)
    for name, value in module.state_dict().items():
        assert torch.equal(other.state_dict()[name], value.bfloat16().float())
    assert read_sizes(path, preset("tiny").transformer) == SIZES
    changed = digest([path])
    assert write_weights(state, path) == [path]
    assert [each.name for each in tmp_path.iterdir()] == ["part.safetensors"]
    assert digest([path]) != changed
    assert read_sizes(path, preset("tiny").transformer) == preset("tiny").transformer


def test_pieces_that_are_not_whole_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "part.safetensors"
    split = write_weights(half(layers().state_dict()), path, most_bytes=45_000)
    assert len(split) == 2
    split[0].unlink()
    with pytest.raises(CheckpointError, match=r"part-1-of-2.safetensors is missing"):
        read(path)
    split[1].unlink()
    with pytest.raises(CheckpointError, match="weights are missing"):
        read(path)


def test_a_sampler_that_this_version_does_not_know_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "part.safetensors"
    assert read_sampler(path, "multistep") == "multistep", "nothing is there yet"
    write_weights({"x": torch.zeros(1)}, path, sampler="euler")
    assert read_sampler(path, "multistep") == "euler"
    save_file({"x": torch.zeros(1)}, path, {"sampler": "magic"})
    with pytest.raises(CheckpointError, match="for the sampler 'magic'"):
        read_sampler(path, "multistep")
    path.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_sampler(path, "multistep")


def test_sizes_that_cannot_be_built_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "part.safetensors"
    for text in ("{", '{"width": 3}', '{"dim": 3}'):
        save_file({"x": torch.zeros(1)}, path, {"transformer": text})
        with pytest.raises(CheckpointError, match="cannot be used"):
            read_sizes(path, preset("tiny").transformer)
