from functools import partial
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from longtake.model.config import GeneratorConfig, TransformerConfig, preset, preset_names
from longtake.model.errors import BackendError, ConfigError, ShapeError
from longtake.model.network.rope import Rope, rotate
from longtake.model.network.transformer import Transformer, sinusoid
from longtake.model.ops import attention, onednn, precision
from longtake.model.ops import linear as quantise
from longtake.model.ops.attention import bmm, choose_attention, missing, sdpa, upcast
from longtake.model.ops.onednn import gelu_tanh, has_onednn, onednn_linear


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
    with torch.no_grad():  # in place, as a merged LoRA is: fused and single maps share their memory
        transformer.blocks[0].self_attn.k.weight.mul_(1.1)
    changed = forward(transformer, config, latents, t, text)
    assert small.error(changed, plain) > 1e-4
    transformer.double().float()
    with torch.no_grad():
        transformer.blocks[0].self_attn.k.weight.div_(1.1)
    assert small.error(forward(transformer, config, latents, t, text), plain) < 1e-5


@pytest.mark.skipif(not has_onednn(torch.device("cpu"), torch.bfloat16), reason="this processor has no bf16 products")
def test_packing_changes_rounding_only_and_ends_when_the_module_moves(inputs: Any, small: Any) -> None:
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


@pytest.mark.skipif(not has_onednn(torch.device("cpu"), torch.bfloat16), reason="this processor has no bf16 products")
def test_a_onednn_linear_has_the_tanh_gelu() -> None:
    x = torch.full((1, 16), -2.5, dtype=torch.bfloat16)
    made = onednn_linear(torch.eye(16).bfloat16(), torch.zeros(16).bfloat16(), 1, gelu=True)(x)
    assert made.flatten()[0].item() == pytest.approx(-0.015084, abs=5e-5)  # the exact form is -0.015524


def test_gelu_is_the_tanh_form_at_any_size() -> None:
    x = torch.cat((torch.linspace(-12, 12, 2001), torch.tensor([0.0, -1e4, 1e4, -float("inf"), float("inf")])))
    made, exact = gelu_tanh(x.clone()), F.gelu(x.double(), approximate="tanh")
    assert torch.allclose(made[:-2].double(), exact[:-2], rtol=1e-6, atol=6e-7)
    assert (made[-3].item(), made[-1].item()) == (1e4, float("inf"))
    assert abs(made[-4].item()) == 0


@pytest.mark.skipif(
    not has_onednn(torch.device("cpu"), torch.float32), reason="fp32 oneDNN products are used on x86 only"
)
@pytest.mark.parametrize("avx512", [True, False])
def test_gelu_within_the_product_and_after_it_are_the_same(monkeypatch: pytest.MonkeyPatch, avx512: bool) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_f": avx512})
    assert onednn.gelu_belongs_within(torch.float32) == avx512
    assert onednn.gelu_belongs_within(torch.bfloat16)
    source = torch.Generator().manual_seed(1)
    weight, bias, x = (torch.randn(shape, generator=source) for shape in ((32, 16), (32,), (2, 6, 16)))
    wanted = F.gelu(F.linear(x, weight, bias), approximate="tanh")
    assert torch.allclose(onednn_linear(weight, bias, 6, gelu=True)(x), wanted, atol=1e-5)


def test_packing_is_for_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not has_onednn(torch.device("cuda"), torch.bfloat16)
    assert not has_onednn(torch.device("cpu"), torch.float64)
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert not has_onednn(torch.device("cpu"), torch.float32)


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


def test_attention_back_ends_agree() -> None:
    q, k, v = torch.randn(2, 3, 10, 8), torch.randn(2, 3, 40, 8), torch.randn(2, 3, 40, 8)
    assert torch.allclose(bmm(q, k, v), sdpa(q, k, v), atol=1e-5)
    # As the cache hands them over: a prefix, and queries with swapped strides.
    q = torch.randn(2, 10, 3, 8).transpose(1, 2)
    assert torch.allclose(bmm(q, k[:, :, :20], v[:, :, :20]), sdpa(q, k[:, :, :20], v[:, :, :20]), atol=1e-5)


def test_a_back_end_that_cannot_be_used_is_an_error_that_says_why() -> None:
    assert choose_attention("auto", "cpu", torch.float32) is bmm
    assert choose_attention("sdpa", "cpu", torch.float32) is sdpa
    for name in ("flash2", "flash3"):
        with pytest.raises(BackendError, match="needs a CUDA device"):
            choose_attention(name, "cpu", torch.bfloat16)
    with pytest.raises(BackendError, match="there are auto, flash3, flash2, sdpa, bmm, upcast"):
        choose_attention("magic", "cpu", torch.float32)
    assert missing("bmm", torch.device("cpu"), torch.float32) is None


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


@pytest.mark.parametrize("name", ["bmm", "exp2_attention"])
def test_many_scores_are_made_in_parts(monkeypatch: pytest.MonkeyPatch, small: Any, name: str) -> None:
    q, k, v = some_queries()
    whole = getattr(attention, name)(q, k, v)
    asked = []
    bmm = torch.bmm
    monkeypatch.setattr(torch, "bmm", lambda a, b: asked.append(tuple(a.shape[:2])) or bmm(a, b))
    monkeypatch.setattr(attention, "LARGEST_SCORES", 40 * 16)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 4)
    assert small.error(getattr(attention, name)(q, k, v), whole) < 1e-6
    # Two products each: of four of the six heads and of the other two, sixteen queries at a time.
    assert asked == [(heads, rows) for heads in (4, 2) for rows in (16, 16, 16, 2) for _ in range(2)]


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("scores", [attention.LARGEST_SCORES, 40 * 16])
def test_wide_attention_rounds_nothing_but_its_result(
    monkeypatch: pytest.MonkeyPatch, small: Any, dtype: torch.dtype, scores: int
) -> None:
    monkeypatch.setattr(attention, "LARGEST_SCORES", scores)
    q, k, v = (x.to(dtype) for x in some_queries())
    exact = [x.double() for x in (q, k, v)]
    bound = 3e-3 if dtype == torch.bfloat16 else 5e-4
    made = upcast(q, k, v)
    assert made.dtype == dtype
    assert small.error(made, sdpa(*exact)) < bound
    factor, fewer_passes = attention.prescaled(upcast, 8)
    assert fewer_passes is attention.upcast_exp2_attention
    # A quarter instead of the factor: it rounds no queries.
    exact[0] *= 0.25 / factor
    assert small.error(fewer_passes(q * 0.25, k, v), sdpa(*exact)) < bound


def some_queries() -> tuple[Tensor, Tensor, Tensor]:
    source = torch.Generator().manual_seed(1)
    q, k, v = (torch.randn(2, 3, tokens, 8, generator=source) for tokens in (50, 40, 40))
    return q, k, v


@pytest.mark.parametrize("multiplies", [True, False])
def test_products_are_widened_where_the_processor_would_emulate_them(
    monkeypatch: pytest.MonkeyPatch, multiplies: bool
) -> None:
    for module in (attention, quantise):
        monkeypatch.setattr(module, "cpu_multiplies", lambda dtype: multiplies or dtype == torch.float32)
    monkeypatch.setattr(quantise, "has_onednn", lambda device, dtype: multiplies)
    cpu = torch.device("cpu")
    chosen = attention.automatic(cpu, torch.bfloat16), quantise.automatic(cpu, torch.bfloat16)
    assert chosen == (("bmm", "onednn") if multiplies else ("upcast", "upcast"))
    assert attention.automatic(cpu, torch.float32) == "bmm"
    assert "half precision" in str(missing("upcast", cpu, torch.float32))
    assert "half precision" in str(quantise.missing("upcast", torch.device("cuda"), torch.bfloat16))


def test_a_processor_is_asked_what_it_multiplies(monkeypatch: pytest.MonkeyPatch) -> None:
    assert precision.cpu_multiplies(torch.float32)
    assert precision.cpu_multiplies(torch.float64)
    monkeypatch.setattr(precision, "cpu_has_bf16", lambda: True)
    assert precision.cpu_multiplies(torch.bfloat16)
    assert not precision.cpu_multiplies(torch.float16)
    monkeypatch.setattr(precision, "cpu_multiplies", lambda dtype: False)
    assert precision.product_precision(torch.bfloat16, torch.device("cpu")) == torch.float32
    assert precision.product_precision(torch.bfloat16, torch.device("cuda")) == torch.bfloat16
