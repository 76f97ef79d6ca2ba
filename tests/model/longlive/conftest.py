"""Small checkpoints in every public layout, written by the tests that read them."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from longtake.model.config import GeneratorConfig, TransformerConfig
from longtake.model.longlive import loading, umt5, wan_vae
from longtake.model.longlive.layouts import Layout, export_name
from longtake.model.longlive.names import VAE_DECODER, VAE_ENCODER, lora_targets
from longtake.model.longlive.taehv import TinyDecoder, TinyDecoderConfig
from longtake.model.network.transformer import Transformer

SIZES = TransformerConfig(
    dim=48,
    ffn_dim=96,
    heads=2,
    layers=2,
    text_tokens=12,
    text_dim=32,
    time_frequencies=32,
    latent_height=4,
    latent_width=6,
)
CONFIG = GeneratorConfig(transformer=SIZES, block_frames=3, window_frames=12, sink_frames=3)
TEXT_SIZES = {"vocab_size": 40, "d_model": 32, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
WORDS = ("<pad>", "</s>", "<unk>", "a", "red", "balloon", "over", "the", "sea", "at", "night", "&", '"', "it's")


class Checkpoints:
    """Writes the small checkpoints; `weights` are the transformer's under Wan's own names."""

    sizes, config = SIZES, CONFIG

    def __init__(self, seed: int = 0) -> None:
        torch.manual_seed(seed)
        self.weights = {name: 0.2 * torch.randn_like(value) for name, value in Transformer(SIZES).state_dict().items()}

    def lora(self, rank: int = 4) -> dict[str, Tensor]:
        """A LoRA under PEFT's names."""
        tensors = {}
        for module in lora_targets(SIZES.layers):
            out, width = self.weights[f"{module}.weight"].shape
            tensors[f"base_model.model.{module}.lora_A.weight"] = torch.randn(rank, width)
            tensors[f"base_model.model.{module}.lora_B.weight"] = torch.randn(out, rank)
        return tensors

    def transformer(self, folder: Path, layout: Layout, *, sharded: bool = False) -> Path:
        """Write the transformer in a layout and return its file."""
        name = export_name(layout)
        named = {name(key): value for key, value in self.weights.items()}
        if layout == "longlive":
            path = folder / "longlive_models" / "models" / "longlive_base.pt"
            return self.save(path, {"generator": named})
        if layout == "self-forcing":
            fsdp = {key.replace("model.", "model._fsdp_wrapped_module.", 1): value for key, value in named.items()}
            return self.save(folder / "checkpoints" / "self_forcing_dmd.pt", {"generator_ema": fsdp})
        path = folder / ("transformer" if layout == "diffusers" else "") / "diffusion_pytorch_model.safetensors"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not sharded:
            save_file(named, path)
            return path
        keys = sorted(named)
        index: dict[str, str] = {}
        for number, half in enumerate((keys[::2], keys[1::2]), 1):
            part = f"diffusion_pytorch_model-{number:05}-of-00002.safetensors"
            save_file({key: named[key] for key in half}, path.with_name(part))
            index |= dict.fromkeys(half, part)
        listed = path.with_name(path.name + ".index.json")
        listed.write_text(json.dumps({"metadata": {}, "weight_map": index}))
        return listed

    def save(self, path: Path, content: Any) -> Path:
        """Write a .pt file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save(content, path)
        return path

    def tiny_decoder(self, folder: Path) -> Path:
        """Write a small `taew2_1.pth`, the encoder's tensors included as in the public one."""
        tensors = {
            name: 0.25 * torch.randn_like(value) for name, value in TinyDecoder(TINY_DECODER).state_dict().items()
        }
        return self.save(folder / "taew2_1.pth", {**tensors, "encoder.0.weight": torch.zeros(1)})

    def wan_vae(self, folder: Path, vae: torch.nn.Module) -> Path:
        """Write a VAE as Wan's own file: both halves."""
        tensors = {}
        for name, value in vae.state_dict().items():
            wan = VAE_DECODER.back(name) or VAE_ENCODER.back(name)
            assert wan is not None, name
            tensors[wan] = value
        return self.save(folder / "Wan2.1_VAE.pth", tensors)

    def text_encoder(self, folder: Path) -> dict[str, Tensor]:
        """Write a small text encoder as Wan's own file, and its tokenizer; return its tensors (Wan's names)."""
        torch.manual_seed(5)
        width, inner, hidden = (TEXT_SIZES[n] for n in ("d_model", "d_ff", "vocab_size"))
        tensors = {"token_embedding.weight": torch.randn(hidden, width), "norm.weight": torch.rand(width) + 0.5}
        heads = TEXT_SIZES["num_heads"]
        for layer in range(TEXT_SIZES["num_layers"]):
            here = f"blocks.{layer}."
            for name in "qkvo":
                tensors[f"{here}attn.{name}.weight"] = 0.2 * torch.randn(width, width)
            for name in ("norm1", "norm2"):
                tensors[f"{here}{name}.weight"] = torch.rand(width) + 0.5
            tensors[f"{here}pos_embedding.embedding.weight"] = torch.randn(32, heads)
            tensors[f"{here}ffn.gate.0.weight"] = 0.2 * torch.randn(inner, width)
            tensors[f"{here}ffn.fc1.weight"] = 0.2 * torch.randn(inner, width)
            tensors[f"{here}ffn.fc2.weight"] = 0.2 * torch.randn(width, inner)
        tensors = {name: value.bfloat16() for name, value in tensors.items()}
        self.save(folder / "models_t5_umt5-xxl-enc-bf16.pth", tensors)
        self.tokenizer(folder)
        return tensors

    def tokenizer(self, folder: Path) -> Path:
        """Write a tokenizer of a few words with an end mark."""
        from tokenizers import Tokenizer, models, pre_tokenizers, processors

        made = Tokenizer(models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="<unk>"))
        made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
        path = folder / "google" / "umt5-xxl" / "tokenizer.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        made.save(str(path))
        return path


TINY_DECODER = TinyDecoderConfig(widths=(16, 12, 8, 8))


@pytest.fixture
def checkpoints() -> Checkpoints:
    return Checkpoints()


@pytest.fixture
def small_models(monkeypatch: pytest.MonkeyPatch) -> None:
    """The known models at the checkpoints' small sizes."""
    for name, variant in list(loading.VARIANTS.items()):
        small = loading.Variant(config=CONFIG, layouts=variant.layouts)
        monkeypatch.setitem(loading.VARIANTS, name, small)
    for name, value in TEXT_SIZES.items():
        monkeypatch.setitem(umt5.UMT5_XXL, name, value)
    monkeypatch.setitem(wan_vae.WAN2_1, "base_dim", 8)
    monkeypatch.setattr(loading, "TinyDecoderConfig", lambda **given: TINY_DECODER)
