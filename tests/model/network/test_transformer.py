from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from longtake.model.config import GeneratorConfig, TransformerConfig, preset, preset_names
from longtake.model.errors import ConfigError, ShapeError
from longtake.model.network.rope import Rope, rotate
from longtake.model.network.transformer import Transformer, sinusoid
from longtake.model.ops.attention import sdpa
from longtake.model.ops.linear.onednn import has_onednn, onednn_linear


def full_attention(config: GeneratorConfig, frames: int) -> Any:
    """Every frame sees every frame, positions from 0."""
    table = Rope(config.transformer.head_dim, config.transformer.grid).table(range(frames))

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        parts = (x.flatten(1, 2).transpose(1, 2) for x in (rotate(q, table), rotate(k, table), v.float()))
        return sdpa(*parts).transpose(1, 2).unflatten(1, (frames, -1)).to(v.dtype)

    return attend


def forward(transformer: Transformer, config: GeneratorConfig, latents: Tensor, t: Tensor, text: Tensor) -> Tensor:
    x = transformer.embed_patches(latents)
    e, e0 = transformer.embed_time(t)
    for layer, prompt_kv in zip(transformer.layers, transformer.prompt_kv(transformer.embed_text(text)), strict=True):
        x = layer(x, e0, full_attention(config, latents.shape[1]), prompt_kv)
    return transformer.head(x, e)


@pytest.fixture
def inputs(small: Any) -> tuple[GeneratorConfig, Transformer, Tensor, Tensor, Tensor]:
    config = small.config()
    latents = torch.randn(2, 3, *config.transformer.latent_shape)
    return config, small.transformer(config), latents, torch.rand(2, 3) * 1000, small.embedding(config, 1, batch=2)


def test_one_forward_runs_what_its_parts_do(inputs: Any) -> None:
    config, transformer, latents, t, text = inputs
    wanted = forward(transformer, config, latents, t, text)
    attend = full_attention(config, latents.shape[1])
    asked: list[int] = []

    def attend_at(layer: int) -> Any:
        asked.append(layer)
        return attend

    assert torch.equal(transformer(latents, t, text, attend_at), wanted)
    assert asked == list(range(config.transformer.layers))
    # What inference computes beforehand gives the same.
    condition, prompt_kv = transformer.condition(t), transformer.prompt_kv(transformer.embed_text(text))
    assert torch.equal(transformer(latents, condition, prompt_kv, attend_at), wanted)
    # All layers but the last, and then its keys and values.
    seen: list[Tensor] = []

    def look(layer: int) -> Any:
        return lambda q, k, v: seen.extend((k, v)) or attend(q, k, v)

    transformer(latents, condition, prompt_kv, look)
    for made, last in zip(
        transformer.last_keys_values(latents, condition, prompt_kv, attend_at), seen[-2:], strict=True
    ):
        assert torch.allclose(made, last, atol=1e-6)


def test_parameter_names_are_wans(small: Any) -> None:
    names = set(small.transformer(small.config()).state_dict())
    parts = ["self_attn", "cross_attn"]
    maps = [f"{m}.{w}" for m in "qkvo" for w in ("weight", "bias")] + ["norm_q.weight", "norm_k.weight"]
    layer = {f"{p}.{m}" for p in parts for m in maps}
    layer |= {f"{m}.{w}" for m in ("norm3", "ffn.0", "ffn.2") for w in ("weight", "bias")} | {"modulation"}
    outside = ["patch_embedding", "text_embedding.0", "text_embedding.2", "time_embedding.0", "time_embedding.2"]
    outside += ["time_projection.1", "head.head"]
    expected = {f"blocks.{n}.{name}" for n in range(2) for name in layer} | {"head.modulation"}
    assert names == expected | {f"{m}.{w}" for m in outside for w in ("weight", "bias")}


def test_the_patch_embedding_is_the_convolution(inputs: Any) -> None:
    _, transformer, latents, _, _ = inputs
    tokens = transformer.embed_patches(latents)
    convolved = transformer.patch_embedding(latents.transpose(1, 2))  # [B, D, F, gh, gw]
    assert torch.allclose(tokens, convolved.permute(0, 2, 3, 4, 1).flatten(2, 3), atol=1e-5)


def test_gradients_reach_every_parameter_and_the_inputs(inputs: Any) -> None:
    config, transformer, latents, t, text = inputs
    latents.requires_grad_()
    forward(transformer, config, latents, t, text).square().sum().backward()
    assert latents.grad is not None
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in transformer.parameters())


def test_timesteps_are_per_frame(inputs: Any, small: Any) -> None:
    config, transformer, latents, t, text = inputs
    together = forward(transformer, config, latents, t, text)
    other = t.clone()
    other[:, 1] = 0
    assert small.error(forward(transformer, config, latents, other, text), together) > 1e-3
    for member in range(2):
        part = slice(member, member + 1)
        alone = forward(transformer, config, latents[part], t[part], text[part])
        assert small.error(alone, together[part]) < 1e-5


def test_bf16_is_near_fp32(inputs: Any, small: Any) -> None:
    config, transformer, latents, t, text = inputs
    exact = forward(transformer, config, latents, t, text)
    half = forward(transformer.bfloat16(), config, latents, t, text)
    assert half.dtype == torch.bfloat16
    assert small.error(half, exact) < 5e-2


def test_fusing_changes_nothing_and_ends_when_the_module_moves(inputs: Any, small: Any) -> None:
    config, transformer, latents, t, text = inputs
    names, plain = list(transformer.state_dict()), forward(transformer, config, latents, t, text)
    transformer.fuse_qkv()
    assert list(transformer.state_dict()) == names
    assert small.error(forward(transformer, config, latents, t, text), plain) < 1e-6
    with torch.no_grad():  # in place, as a merged LoRA is: fused and single linears share their memory
        transformer.blocks[0].self_attn.k.weight.mul_(1.1)
    changed = forward(transformer, config, latents, t, text)
    assert small.error(changed, plain) > 1e-4
    transformer.double().float()
    with torch.no_grad():
        transformer.blocks[0].self_attn.k.weight.div_(1.1)
    assert small.error(forward(transformer, config, latents, t, text), plain) < 1e-5


@pytest.mark.skipif(not has_onednn(torch.device("cpu"), torch.bfloat16), reason="this processor has no bf16 products")
def test_onednn_changes_rounding_only_and_ends_when_the_module_moves(inputs: Any, small: Any) -> None:
    config, transformer, latents, t, text = inputs
    exact = forward(transformer, config, latents, t, text)
    names, plain = list(transformer.state_dict()), forward(transformer.bfloat16(), config, latents, t, text)
    transformer.replace_linears(partial(onednn_linear, rows=6))
    assert transformer.blocks[1].ffn[0].replaced
    assert list(transformer.state_dict()) == names
    onednn = forward(transformer, config, latents, t, text)
    assert small.error(onednn, exact) < 1.2 * small.error(plain, exact)
    with torch.no_grad():
        for parameter in transformer.blocks.parameters():
            parameter.zero_()
    moved = forward(transformer.float(), config, latents, t, text)
    assert not transformer.blocks[1].ffn[0].replaced
    x, (e, _) = transformer.embed_patches(latents), transformer.embed_time(t)
    assert torch.allclose(moved, transformer.head(x, e))  # layers of zeros add nothing


@pytest.mark.skipif(
    not has_onednn(torch.device("cpu"), torch.float32), reason="fp32 oneDNN products are used on x86 only"
)
def test_onednn_fp32_is_the_plain_product(inputs: Any, small: Any) -> None:
    config, transformer, latents, t, text = inputs
    plain = forward(transformer, config, latents, t, text)
    transformer.replace_linears(partial(onednn_linear, rows=6))
    assert small.error(forward(transformer, config, latents, t, text), plain) < 1e-6


def test_keys_values_are_those_the_layer_attends_with(inputs: Any) -> None:
    _, transformer, latents, t, text = inputs
    x, (_, e0) = transformer.embed_patches(latents), transformer.embed_time(t)
    layer, prompt_kv = transformer.layers[0], transformer.prompt_kv(transformer.embed_text(text))[0]
    seen = []

    def attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        seen.extend((k, v))
        return v

    layer(x, e0, attend, prompt_kv)
    for single, whole in zip(layer.keys_values(x, layer.modulate(e0)), seen, strict=True):
        assert torch.allclose(single, whole, atol=1e-6)


def test_the_sinusoid_has_cosines_first() -> None:
    embedded = sinusoid(torch.tensor([0.0, 1.0]), 4)
    assert embedded.dtype == torch.float64
    assert embedded[0].tolist() == [1, 1, 0, 0]
    expected = torch.tensor([1.0, 0.01], dtype=torch.float64)
    assert torch.allclose(embedded[1], torch.cat((expected.cos(), expected.sin())))


def test_shapes_are_checked_where_data_enters(inputs: Any) -> None:
    _, transformer, latents, _, text = inputs
    with pytest.raises(ShapeError, match=r"\(2, 3, 16, 4, 4\)"):
        transformer.embed_patches(latents[..., :4])
    with pytest.raises(ShapeError, match="pad it with zeros"):
        transformer.embed_text(text[:, :3])


def test_presets_are_found_by_name() -> None:
    longlive = preset("longlive-1.3b").transformer
    assert (longlive.frame_tokens, longlive.head_dim) == (1560, 128)
    assert preset("diorama").transformer.frame_tokens == 60
    with pytest.raises(ConfigError, match=", ".join(preset_names())):
        preset("nothing")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": 5}, "head width"),
        ({"latent_height": 5}, "whole patches"),
        ({"layers": 0}, "layers must be"),
        ({"time_frequencies": 3}, "time_frequencies"),
        ({"patch": (2, 2, 2)}, "within one latent frame"),
    ],
)
def test_impossible_sizes_are_refused(changes: dict[str, Any], message: str) -> None:
    sizes = {"dim": 48, "ffn_dim": 96, "heads": 2, "layers": 2, "text_tokens": 6, "text_dim": 16}
    sizes |= {"latent_height": 4, "latent_width": 6}
    with pytest.raises(ConfigError, match=message):
        TransformerConfig(**{**sizes, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window_frames": 5}, "must hold the sink"),
        ({"positions": "nowhere"}, "positions must be one of"),
        ({"recache": "often"}, "recache must be one of"),
        ({"timesteps": (250.0, 500.0)}, "must fall"),
        ({"timesteps": ()}, "timesteps"),
        ({"block_frames": 0}, "block_frames"),
    ],
)
def test_impossible_driving_is_refused(small: Any, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        small.config(**changes)
