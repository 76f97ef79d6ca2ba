"""Every public layout gives the same transformer; what is wrong says so in one line."""

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from longtake.model.errors import CheckpointError
from longtake.model.longlive.files import open_tensors
from longtake.model.longlive.layouts import Layout, find_transformer, open_transformer
from longtake.model.longlive.names import lora_targets
from longtake.model.longlive.weights import Lora, from_file, materialise, merge
from longtake.model.network.transformer import Transformer

LAYOUTS: tuple[Layout, ...] = ("longlive", "self-forcing", "wan", "diffusers")
CPU = torch.device("cpu")


def load(checkpoints: Any, root: Path, *, lora: Lora | None = None, dtype: torch.dtype = torch.float32) -> Transformer:
    files = find_transformer(root, LAYOUTS, with_lora=False)
    with torch.device("meta"):
        module = Transformer(checkpoints.sizes)
    write = from_file(open_transformer(files), module, what="the model", lora=lora)
    materialise(module, write, dtype=dtype, device=CPU)
    return module


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_gives_the_same_weights(checkpoints: Any, tmp_path: Path, layout: Layout) -> None:
    checkpoints.transformer(tmp_path, layout)
    module = load(checkpoints, tmp_path)
    for name, value in module.state_dict().items():
        assert torch.equal(value, checkpoints.weights[name]), name


def test_files_in_several_parts(checkpoints: Any, tmp_path: Path) -> None:
    checkpoints.transformer(tmp_path, "diffusers", sharded=True)
    module = load(checkpoints, tmp_path)
    assert all(torch.equal(value, checkpoints.weights[name]) for name, value in module.state_dict().items())


def test_the_last_copy_is_preferred_and_the_averaged_one_can_be_asked_for(checkpoints: Any, tmp_path: Path) -> None:
    last = {f"model.{name}": value for name, value in checkpoints.weights.items()}
    averaged = {name: value + 1 for name, value in last.items()}
    checkpoints.save(tmp_path / "longlive_base.pt", {"generator": last, "generator_ema": averaged, "step": 7})
    files = find_transformer(tmp_path, ("longlive",), with_lora=False)
    name = "blocks.0.ffn.0.weight"
    for asked, shift in ((None, 0), (False, 0), (True, 1)):
        opened = open_transformer(files, averaged=asked)
        assert torch.equal(opened.read(name), checkpoints.weights[name] + shift)


def test_torch_s_old_format_is_read_whole(checkpoints: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = {"generator": {f"model.{name}": value for name, value in checkpoints.weights.items()}}
    path = tmp_path / "longlive_base.pt"
    torch.save(content, path, _use_new_zipfile_serialization=False)
    module = load(checkpoints, tmp_path)
    assert all(torch.equal(value, checkpoints.weights[name]) for name, value in module.state_dict().items())
    assert "cannot be mapped" in caplog.text
    path.write_bytes(path.read_bytes()[:-50])
    assert str(path) in error(checkpoints, tmp_path)


@pytest.mark.parametrize("nested", [True, False])
def test_the_lora_is_merged(checkpoints: Any, tmp_path: Path, nested: bool) -> None:
    checkpoints.transformer(tmp_path, "longlive")
    tensors = checkpoints.lora(rank=4)
    content = {"generator_lora": tensors, "critic_lora": tensors, "step": 3} if nested else tensors
    path = checkpoints.save(tmp_path / "lora.pt", content)
    lora = Lora.open(path, alpha=6.0)
    module = load(checkpoints, tmp_path, lora=lora)
    for target in lora_targets(checkpoints.sizes.layers):
        a, b = (tensors[f"base_model.model.{target}.lora_{side}.weight"].double() for side in "AB")
        wanted = checkpoints.weights[f"{target}.weight"].double() + 6 / 4 * b @ a
        torch.testing.assert_close(module.get_parameter(f"{target}.weight").double(), wanted, rtol=1e-5, atol=1e-5)
    untouched = "blocks.0.norm3.weight"
    assert torch.equal(module.get_parameter(untouched), checkpoints.weights[untouched])


def test_merging_rounds_once() -> None:
    """In bf16 the merged weight is the fp32 one rounded, whatever the files' precision."""
    w, a, b = torch.randn(64, 48).bfloat16(), torch.randn(4, 48).bfloat16(), torch.randn(64, 4).bfloat16()
    memory = torch.empty(64, 48, dtype=torch.bfloat16)
    merge(w, (a, b), 4.0, memory, torch.empty(48 * 20))
    wanted = (w.double() + b.double() @ a.double()).bfloat16()
    # fp32 sums may fall on the other side of a rounding boundary once in a while
    assert (memory != wanted).float().mean() < 0.01
    assert (memory.float() - wanted.float()).abs().max() <= wanted.float().abs().max() / 128


def test_slices_do_not_show() -> None:
    w, a, b = torch.randn(50, 30), torch.randn(3, 30), torch.randn(50, 3)
    for numbers in (30, 7 * 30 + 5, 50 * 30, 60 * 30):
        memory = torch.empty(50, 30)
        merge(w, (a, b), 2.0, memory, torch.empty(numbers))
        torch.testing.assert_close(memory, w + 2 / 3 * b @ a)


def test_shared_parameters_stay_shared() -> None:
    with torch.device("meta"):
        module = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4))
    module[1].weight = module[0].weight
    written: list[str] = []
    materialise(
        module,
        lambda name, memory: (written.append(name), memory.fill_(len(written)))[1],
        dtype=torch.float32,
        device=CPU,
    )
    assert module[0].weight is module[1].weight
    assert written == ["0.weight", "0.bias", "1.bias"]


# What is wrong with a file


def error(checkpoints: Any, root: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load(checkpoints, root)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_a_missing_transformer_names_what_would_do(checkpoints: Any, tmp_path: Path) -> None:
    message = error(checkpoints, tmp_path)
    assert all(word in message for word in (str(tmp_path), "longlive_base.pt", "models pull"))


def test_a_missing_lora_is_named(checkpoints: Any, tmp_path: Path) -> None:
    checkpoints.transformer(tmp_path, "longlive")
    with pytest.raises(CheckpointError, match=r"lora\.pt is missing"):
        find_transformer(tmp_path, LAYOUTS, with_lora=True)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("share", [0.0, 0.3, 0.95])
def test_a_file_cut_short(checkpoints: Any, tmp_path: Path, layout: Layout, share: float) -> None:
    path = checkpoints.transformer(tmp_path, layout)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    message = error(checkpoints, tmp_path)
    assert str(path) in message
    assert "cut short" in message


def test_a_part_cut_short(checkpoints: Any, tmp_path: Path) -> None:
    index = checkpoints.transformer(tmp_path, "diffusers", sharded=True)
    part = index.with_name("diffusion_pytorch_model-00002-of-00002.safetensors")
    part.write_bytes(part.read_bytes()[:-100])
    assert str(part) in error(checkpoints, tmp_path)
    part.unlink()
    assert str(part) in error(checkpoints, tmp_path)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_missing_key(checkpoints: Any, tmp_path: Path, layout: Layout) -> None:
    del checkpoints.weights["blocks.1.cross_attn.norm_k.weight"]
    path = checkpoints.transformer(tmp_path, layout)
    message = error(checkpoints, tmp_path)
    assert str(path) in message
    assert "lacks blocks.1.cross_attn.norm_k.weight" in message


def test_a_wrong_shape(checkpoints: Any, tmp_path: Path) -> None:
    checkpoints.weights["blocks.1.ffn.0.weight"] = torch.zeros(96, 50)
    checkpoints.transformer(tmp_path, "wan")
    message = error(checkpoints, tmp_path)
    assert "blocks.1.ffn.0.weight is [96, 50], not [96, 48]" in message


def test_another_model(checkpoints: Any, tmp_path: Path) -> None:
    checkpoints.weights["img_emb.proj.0.weight"] = torch.zeros(4)
    path = checkpoints.transformer(tmp_path, "wan")
    message = error(checkpoints, tmp_path)
    assert str(path) in message
    assert "img_emb.proj.0.weight" in message
    assert "another model" in message


def test_a_pickle_of_something_else(checkpoints: Any, tmp_path: Path) -> None:
    path = checkpoints.save(tmp_path / "longlive_base.pt", {"generator": {"model.x": Path("x")}})
    message = error(checkpoints, tmp_path)
    assert str(path) in message
    assert "more than tensors" in message


def test_a_checkpoint_without_a_generator(checkpoints: Any, tmp_path: Path) -> None:
    checkpoints.save(tmp_path / "longlive_base.pt", {"critic": {"model.x": torch.zeros(2)}})
    assert "no tensors under generator" in error(checkpoints, tmp_path)


def test_loras_that_do_not_fit(checkpoints: Any, tmp_path: Path) -> None:
    shapes = {name: value.shape for name, value in checkpoints.weights.items()}
    targets = lora_targets(checkpoints.sizes.layers)

    def message(tensors: dict[str, torch.Tensor]) -> str:
        path = checkpoints.save(tmp_path / "lora.pt", tensors)
        with pytest.raises(CheckpointError) as caught:
            Lora.open(path, alpha=1).check(shapes, targets)
        assert str(path) in str(caught.value)
        return str(caught.value)

    whole = checkpoints.lora()
    key = "base_model.model.blocks.1.ffn.2.lora_{}.weight"
    assert "lacks lora_B of blocks.1.ffn.2" in message({k: v for k, v in whole.items() if k != key.format("B")})
    assert "changes no blocks.1.ffn.2" in message({k: v for k, v in whole.items() if "1.ffn.2" not in k})
    assert "do not fit its weight [48, 96]" in message({**whole, key.format("A"): torch.zeros(4, 90)})
    assert "changes no" not in message({**whole, "blocks.0.norm3.weight": torch.zeros(3)})
    other = {f"base_model.model.blocks.7.ffn.2.lora_{side}.weight": torch.zeros(4, 4) for side in "AB"}
    assert "does not have" in message({**whole, **other})


def test_a_missing_safetensors_file_says_so(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="is missing"):
        open_tensors(tmp_path / "x.safetensors")


def test_an_index_that_lies(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "one.safetensors")
    index = tmp_path / "m.safetensors.index.json"
    index.write_text('{"weight_map": {"b": "one.safetensors"}}')
    with pytest.raises(CheckpointError, match="lacks b"):
        open_tensors(index)
    odd = (
        "{",
        "[]",
        "3",
        "null",
        "[" * 5000,
        '{"weight_map": []}',
        '{"weight_map": {"b": 3}}',
        "{}",
        '{"weight_map": null}',
    )
    for text in odd:
        index.write_text(text)
        with pytest.raises(CheckpointError, match="is no index"):
            open_tensors(index)
