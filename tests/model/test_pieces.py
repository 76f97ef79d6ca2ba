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
from longtake.model.weights import Sampling, fill, read, read_config, read_sampling, read_sizes

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
    assert read_sampling(path) is None, "nothing is there yet"
    write_weights({"x": torch.zeros(1)}, path)
    assert read_sampling(path) is None
    write_weights({"x": torch.zeros(1)}, path, sampling=Sampling(sampler="euler"))
    assert read_sampling(path) == Sampling(sampler="euler")
    save_file({"x": torch.zeros(1)}, path, {"sampler": "magic"})
    with pytest.raises(CheckpointError, match="for the sampler 'magic'"):
        read_sampling(path)
    path.write_bytes(b"nothing")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_sampling(path)


def test_weights_say_their_sizes_sampler_and_steps(tmp_path: Path) -> None:
    path, usual = tmp_path / "part.safetensors", preset("diorama")
    write_weights({"x": torch.zeros(1)}, path)
    assert read_config(path, usual) == usual
    write_weights({"x": torch.zeros(1)}, path, sampling=Sampling(sampler="euler"))
    assert read_config(path, usual) == replace(usual, sampler="euler"), "older weights do not say their steps"
    two = Sampling(sampler="euler", timesteps=(1000.0, 500.0))
    write_weights({"x": torch.zeros(1)}, path, sizes=SIZES, sampling=two)
    read = read_config(path, usual)
    assert read == replace(usual, transformer=SIZES, sampler="euler", timesteps=(1000.0, 500.0))
    assert Sampling.of(read) == two == read_sampling(path)


@pytest.mark.parametrize(
    ("steps", "message"), [("many", "cannot be used"), ("3", "cannot be used"), ("[1, 2]", "fall")]
)
def test_steps_that_cannot_be_taken_are_refused(tmp_path: Path, steps: str, message: str) -> None:
    path = tmp_path / "part.safetensors"
    save_file({"x": torch.zeros(1)}, path, {"sampler": "euler", "timesteps": steps})
    with pytest.raises(CheckpointError, match=message):
        read_config(path, preset("diorama"))


def test_sizes_that_cannot_be_built_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "part.safetensors"
    for text in ("{", '{"width": 3}', '{"dim": 3}'):
        save_file({"x": torch.zeros(1)}, path, {"transformer": text})
        with pytest.raises(CheckpointError, match="cannot be used"):
            read_sizes(path, preset("tiny").transformer)
