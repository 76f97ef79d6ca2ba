"""Attention in e4m3, emulated: its error, a ring handed over as it lies, and how flash-attn is called."""

import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

from longtake.model.cache.fp8 import Fp8Cache
from longtake.model.choice import Target
from longtake.model.errors import BackendError
from longtake.model.network.rope import Rope
from longtake.model.ops.attention import flash, sdpa
from longtake.model.ops.attention.fp8 import Fp8Attention, emulated, saturated
from longtake.model.ops.attention.registry import ATTENTIONS, EIGHT_BITS
from longtake.model.ops.linear.fp8 import E4M3

HOPPER = Target(device=torch.device("cuda"), dtype=torch.bfloat16)


def some(tokens: int = 64, keys: int = 200, offset: float = 0.0) -> tuple[Tensor, Tensor, Tensor]:
    """Queries and keys whose root mean square is one, as the norms leave them; keys with a common part."""
    source = torch.Generator().manual_seed(3)
    q, k, v = (torch.randn(2, 3, n, 32, generator=source) for n in (tokens, keys, keys))
    return q, k + offset, v


def test_it_is_attention_but_for_the_rounding(small: Any) -> None:
    q, k, v = some()
    assert small.error(Fp8Attention(emulated)(q, k, v), sdpa(q, k, v)) < 6e-2


def test_smoothing_the_keys_takes_away_what_they_have_in_common(small: Any) -> None:
    q, k, v = some(offset=6.0)
    wanted = sdpa(q, k, v)
    smooth, rough = (small.error(Fp8Attention(emulated, smooth=smooth)(q, k, v), wanted) for smooth in (True, False))
    assert smooth < 6e-2
    assert rough > 2 * smooth


def test_a_scale_for_each_head_keeps_small_values_exact(small: Any) -> None:
    q, k, v = some()
    v = v * torch.tensor([1e-4, 1.0, 1e4])[:, None, None]
    made, wanted = Fp8Attention(emulated)(q, k, v), sdpa(q, k, v)
    assert all(small.error(made[:, head], wanted[:, head]) < 6e-2 for head in range(3))


def test_what_is_out_of_range_is_the_largest_number() -> None:
    assert saturated(torch.tensor([1e9, -1e9, 1.0])).float().tolist() == [448.0, -448.0, 1.0]


@pytest.mark.parametrize("positions", ["absolute", "relative"])
def test_a_ring_in_e4m3_is_handed_over_as_it_lies(small: Any, positions: str) -> None:
    """No copy: attention gets the ring's own memory. Saved and loaded, it holds the same numbers."""
    seen: list[Tensor] = []

    def product(q: Tensor, k: Tensor, v: Tensor, key_scale: Tensor, value_scale: Tensor) -> Tensor:
        seen.extend((k, v, key_scale, value_scale))
        return emulated(q, k, v, key_scale, value_scale)

    config = small.config(positions=positions)
    ring = ring_of(config, Fp8Attention(product))
    shape = (1, config.block_frames, config.transformer.frame_tokens, config.transformer.heads, -1)
    for _ in range(config.window_frames // config.block_frames + 2):
        block = ring.begin((config.block_frames,))
        q, k, v = torch.randn(3, 1, config.block_tokens * config.transformer.dim).view(3, *shape)
        attended = block.attend(1)(q, k, v)
        ring.commit(block)
    keys, values, *scales = seen[-4:]
    assert keys.dtype == values.dtype == E4M3
    assert keys.data_ptr() == ring.keys[1].data_ptr()
    assert values.data_ptr() == ring.values[1].data_ptr()
    assert all(scale.eq(1).all() for scale in scales)
    assert attended.shape == q.shape
    assert not ring.key_scales.numel(), "no scales are kept"
    other = ring_of(config, Fp8Attention(product))
    other.load(ring.save())
    assert torch.equal(other.keys.view(torch.uint8), ring.keys.view(torch.uint8))


def ring_of(config: Any, attention: Fp8Attention) -> Fp8Cache:
    rope = Rope(config.transformer.head_dim, config.transformer.grid)
    return Fp8Cache(config, batch=1, rope=rope, attention=attention, device="cpu", dtype=torch.float32)


@pytest.mark.parametrize("cache", ["plain", "fp8"])
def test_a_take_with_it(small: Any, monkeypatch: pytest.MonkeyPatch, cache: str) -> None:
    config = small.config()

    def film(**asked: Any) -> list[Tensor]:
        generator = small.generator(config, **asked)
        world = generator.open(seed=1, embedding=small.embedding(config, 0))
        return [generator.step(world).latents.clone() for _ in range(6)]

    exact = film(attention="sdpa")
    choice = ATTENTIONS.choices["sdpa"]
    monkeypatch.setitem(ATTENTIONS.choices, "sdpa", type(choice)(make=lambda target: Fp8Attention(emulated)))
    errors = [small.error(a, b) for a, b in zip(film(attention="sdpa", cache=cache), exact, strict=True)]
    assert 1e-4 < max(errors) < 0.2, errors


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], list[Any]]:
    """Stand in for a module of flash-attn on a Hopper GPU; returns what it is called with."""

    def install(name: str) -> list[Any]:
        calls: list[Any] = []

        def flash_attn_func(q: Tensor, k: Tensor, v: Tensor, **scales: Tensor) -> Tensor:
            calls.append((q, k, v, scales))
            return q.bfloat16()

        made = ModuleType(name)
        made.flash_attn_func = flash_attn_func  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, name, made)
        monkeypatch.setattr(flash, "find_spec", lambda asked: made if asked == name else None)
        return calls

    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (9, 0))
    return install


@pytest.mark.parametrize("name", ["flash_attn_interface", "fa3_fwd_interface"])
def test_either_module_of_version_3_will_do(module: Any, name: str) -> None:
    calls = module(name)
    assert ATTENTIONS.resolve("auto", HOPPER) == "flash3", "never eight bits by itself"
    q, k, v = some()
    ATTENTIONS.make("flash3", HOPPER)(q, k, v)
    assert calls[0][0].shape == (2, 64, 3, 32)
    assert not calls[0][3]


def test_eight_bits_come_with_their_scales(module: Any) -> None:
    calls = module("fa3_fwd_interface")
    q, k, v = some()
    out = ATTENTIONS.make("flash3-fp8", HOPPER)(q, k, v * 5000)
    called_q, called_k, called_v, scales = calls[0]
    assert {x.dtype for x in (called_q, called_k, called_v)} == {E4M3}
    assert {name: tuple(x.shape) for name, x in scales.items()} == dict.fromkeys(
        ("q_descale", "k_descale", "v_descale"), (2, 3)
    )
    back = called_v.float() * scales["v_descale"][:, None, :, None]
    assert (back.transpose(1, 2) - v * 5000).norm() / (v * 5000).norm() < 0.04
    assert out.shape == q.shape


@pytest.mark.parametrize("name", EIGHT_BITS)
def test_eight_bits_that_cannot_be_had_say_what_to_install(module: Any, name: str) -> None:
    module("nothing")
    with pytest.raises(BackendError, match=r"pip install 'longtake\[flash3\]'"):
        ATTENTIONS.resolve(name, HOPPER)
    with pytest.raises(BackendError, match="needs a CUDA device"):
        ATTENTIONS.resolve(name, Target(device=torch.device("cpu"), dtype=torch.bfloat16))
