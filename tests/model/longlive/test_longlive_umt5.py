"""The text encoder: clean-up, tokens, the encoder's arithmetic, zero padding and the prompts kept on disk."""

import math
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional as F

from longtake.model.errors import BackendError, CheckpointError
from longtake.model.longlive.names import UMT5
from longtake.model.longlive.umt5 import (
    EmbeddingCache,
    RandomText,
    Tokenizer,
    Umt5,
    build_umt5,
    clean,
    open_umt5,
    umt5_sizes,
)
from longtake.model.longlive.weights import from_file, materialise

pytest.importorskip("transformers")
CPU = torch.device("cpu")


def plain_encoder(weights: dict[str, Tensor], numbers: list[int], heads: int, layers: int) -> Tensor:
    """UMT5 by Wan's own names, written down plainly in fp64: [n, width]."""

    def norm(x: Tensor, name: str) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * weights[name].double()

    def bucket(distance: int) -> int:
        """16 buckets either way: 8 exact ones, then 8 that widen until distance 128."""
        side, far = (16, distance) if distance > 0 else (0, -distance)
        if far < 8:
            return side + far
        return side + min(15, 8 + int(math.log(far / 8) / math.log(128 / 8) * 8))

    def gelu(x: Tensor) -> Tensor:
        return F.gelu(x, approximate="tanh")

    count = len(numbers)
    x = weights["token_embedding.weight"].double()[numbers]
    buckets = torch.tensor([[bucket(k - q) for k in range(count)] for q in range(count)])
    for layer in range(layers):
        here = {
            n.removeprefix(f"blocks.{layer}."): w.double()
            for n, w in weights.items()
            if n.startswith(f"blocks.{layer}.")
        }
        y = norm(x, f"blocks.{layer}.norm1.weight")
        q, k, v = ((y @ here[f"attn.{n}.weight"].T).unflatten(-1, (heads, -1)).transpose(0, 1) for n in "qkv")
        bias = here["pos_embedding.embedding.weight"][buckets].permute(2, 0, 1)
        attended = torch.softmax(q @ k.transpose(1, 2) + bias, -1) @ v  # T5 does not scale
        x = x + attended.transpose(0, 1).flatten(1) @ here["attn.o.weight"].T
        y = norm(x, f"blocks.{layer}.norm2.weight")
        x = x + (gelu(y @ here["ffn.gate.0.weight"].T) * (y @ here["ffn.fc1.weight"].T)) @ here["ffn.fc2.weight"].T
    return norm(x, "norm.weight")


@pytest.fixture
def encoder(checkpoints: Any, tmp_path: Path, small_models: None) -> Any:
    """An Umt5 in fp32 from Wan's file, its weights, and a count of what it encoded."""

    class Made:
        weights = checkpoints.text_encoder(tmp_path)
        encoded: list[int] = []  # noqa: RUF012

        def build(self, kept: EmbeddingCache | None = None, text_tokens: int = 12) -> Umt5:
            path = tmp_path / "models_t5_umt5-xxl-enc-bf16.pth"
            model = build_umt5()
            materialise(model, from_file(open_umt5(path), model, what="the encoder"), dtype=torch.float32, device=CPU)
            tokenizer = Tokenizer(tmp_path / "google" / "umt5-xxl" / "tokenizer.json", text_tokens)
            made = Umt5(model, tokenizer, text_tokens=text_tokens, device=CPU, place="cpu", kept=kept)
            model.register_forward_hook(lambda *_: self.encoded.append(1))
            return made

    Made.encoded = []
    return Made()


def test_the_encoder_computes_umt5(encoder: Any) -> None:
    numbers = [3, 4, 5, 6, 7, 8, 1]  # "a red balloon over the sea" and the end mark
    made = encoder.build().encode(["a red balloon over the sea"])
    wanted = plain_encoder(encoder.weights, numbers, heads=4, layers=2)
    assert made.shape == (1, 12, 32)
    assert float((made[0, :7].double() - wanted).norm() / wanted.norm()) < 1e-5
    assert not made[0, 7:].any()


def test_long_distances_too(encoder: Any) -> None:
    text = " ".join(["a", "red", "balloon"] * 60)
    made = encoder.build(text_tokens=150).encode([text])
    numbers = [*([3, 4, 5] * 60)[:149], 1]
    wanted = plain_encoder(encoder.weights, numbers, heads=4, layers=2)
    assert float((made[0].double() - wanted).norm() / wanted.norm()) < 1e-5


def test_leaving_the_padding_out_changes_nothing(encoder: Any) -> None:
    """The reference encodes 512 tokens with a mask and zeroes the padding afterwards."""
    made = encoder.build()
    short, long = "a red balloon", "a red balloon over the sea at night"
    numbers = torch.zeros(2, 12, dtype=torch.int64)
    for row, text in enumerate((short, long)):
        tokens = made.tokenize(text)
        numbers[row, : len(tokens)] = torch.tensor(tokens)
    mask = (numbers > 0).long()
    with torch.no_grad():
        wanted = made.model(input_ids=numbers, attention_mask=mask).last_hidden_state * mask[..., None]
    torch.testing.assert_close(made.encode([short, long]), wanted, rtol=1e-4, atol=1e-4)


def test_prompts_are_kept_on_disk(encoder: Any, tmp_path: Path) -> None:
    kept = EmbeddingCache(folder=tmp_path / "prompts", encoder="e1")
    first = encoder.build(kept).encode(["a red balloon", "the sea", "a red balloon"])
    assert len(encoder.encoded) == 2
    assert torch.equal(first[0], first[2])
    again = encoder.build(kept).encode(["the  sea ", "a red balloon"])
    assert len(encoder.encoded) == 2
    assert torch.equal(again, first[[1, 0]])
    encoder.build(EmbeddingCache(folder=tmp_path / "prompts", encoder="e2")).encode(["the sea"])
    assert len(encoder.encoded) == 3


def test_a_damaged_prompt_is_encoded_again(encoder: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    kept = EmbeddingCache(folder=tmp_path / "prompts", encoder="e1")
    first = encoder.build(kept).encode(["the sea"])
    kept.path("the sea").write_bytes(b"no")
    assert torch.equal(encoder.build(kept).encode(["the sea"]), first)
    assert "is damaged" in caplog.text
    assert torch.equal(kept.get("the sea"), first[0, :3])


def test_the_oldest_prompts_are_dropped(tmp_path: Path) -> None:
    kept = EmbeddingCache(folder=tmp_path, encoder="e", limit_bytes=10_000)  # two files of 4 kB and a little
    for index in range(5):
        kept.put(str(index), torch.zeros(32, 32))
        os.utime(kept.path(str(index)), (index, index))
    kept.put("5", torch.zeros(32, 32))
    assert [kept.get(str(index)) is not None for index in range(6)] == [False, False, False, False, True, True]


def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "file").write_text("")
    EmbeddingCache(folder=tmp_path / "file" / "prompts", encoder="e").put("x", torch.zeros(1, 1))
    assert "cannot be kept" in caplog.text


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("  a   red\n\tballoon ", "a red balloon"),
        ("fish &amp;amp; chips", "fish & chips"),
        ("&lt;b&gt; caf\u00e9", "<b> caf\u00e9"),
        ("a\u00a0b", "a b"),
    ],
)
def test_clean(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


def test_broken_letters_are_repaired_with_ftfy() -> None:
    pytest.importorskip("ftfy")
    assert clean("caf\u00c3\u00a9 \u201cx\u201d") == 'caf\u00e9 "x"'


def test_without_ftfy_letters_stay(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ftfy", None)
    assert clean("\u201cx\u201d  y") == "\u201cx\u201d y"


def test_a_long_prompt_is_cut_before_its_end_mark(checkpoints: Any, tmp_path: Path) -> None:
    tokenizer = Tokenizer(checkpoints.tokenizer(tmp_path), 5)
    assert tokenizer("a red balloon over the sea") == [3, 4, 5, 6, 1]
    assert tokenizer("") == [1]


def test_without_transformers_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("transformers", "tokenizers"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(BackendError, match=r"longtake\[longlive\]"):
        build_umt5()
    with pytest.raises(BackendError, match=r"longtake\[longlive\]"):
        Tokenizer(tmp_path / "tokenizer.json", 4)


def test_a_broken_tokenizer_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_text("{}")
    with pytest.raises(CheckpointError, match=r"tokenizer\.json is no tokenizer"):
        Tokenizer(path, 5)


def test_the_diffusers_layout_loads_the_same(encoder: Any, tmp_path: Path) -> None:
    tensors = {UMT5.forward(name): value for name, value in encoder.weights.items()}
    path = tmp_path / "text_encoder" / "model.safetensors"
    path.parent.mkdir()
    save_file(tensors, path)
    (path.parent / "config.json").write_text('{"d_model": 32, "vocab_size": 40, "architectures": ["x"]}')
    assert umt5_sizes(path) == {"d_model": 32, "vocab_size": 40}
    model = build_umt5(**umt5_sizes(path))
    materialise(model, from_file(open_umt5(path), model, what="it"), dtype=torch.bfloat16, device=CPU)
    assert torch.equal(model.get_parameter("shared.weight"), encoder.weights["token_embedding.weight"])
    assert model.get_parameter("shared.weight") is model.get_parameter("encoder.embed_tokens.weight")


def test_the_gpu_is_not_pretended() -> None:
    for place in ("gpu", "offload"):
        with pytest.raises(BackendError, match="use cpu"):
            Umt5(torch.nn.Identity(), lambda text: [1], text_tokens=4, device=CPU, place=place)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("place", ["gpu", "offload"])
def test_on_the_gpu_as_on_the_cpu(encoder: Any, place: Any) -> None:
    wanted = encoder.build().encode(["a red balloon"])
    made = encoder.build()
    device = torch.device("cuda")
    if place == "gpu":
        made.model.to(device)
    moved = Umt5(made.model, made.tokenize, text_tokens=12, device=device, place=place)
    torch.testing.assert_close(moved.encode(["a red balloon"]).cpu(), wanted, rtol=1e-3, atol=1e-3)
    at = {parameter.device.type for parameter in made.model.parameters()}
    assert at == {"cuda" if place == "gpu" else "cpu"}


def test_random_text_is_the_prompt_s_own() -> None:
    text = RandomText(8, 16, CPU, torch.bfloat16)
    made = text.encode(["a red balloon", "a blue balloon"])
    assert made.dtype is torch.bfloat16
    assert made[0, :4].any(-1).all()
    assert not made[0, 4:].any()
    assert not torch.equal(made[0], made[1])
    assert torch.equal(text.encode(["a  red balloon "])[0], made[0])
