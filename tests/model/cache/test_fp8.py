"""Keys and values in eight bits against the plain cache."""

from typing import Any

import pytest
import torch

from longtake.model.cache.fp8 import Fp8Cache, quantise
from longtake.model.cache.ring import RingCache
from longtake.model.config import preset
from longtake.model.errors import BackendError
from longtake.model.network.rope import Rope
from longtake.model.ops.attention import bmm


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_every_value_is_held_to_a_sixteenth(dtype: torch.dtype) -> None:
    x = torch.randn(6, 64, generator=torch.Generator().manual_seed(2)) * torch.logspace(-8, 8, 6)[:, None]
    x[2] = 0
    x = x.to(dtype)
    quantised, scale = quantise(x)
    back = quantised.to(dtype) * scale
    assert (back - x).abs().le(torch.maximum(x.abs() / 16, scale * 2**-10)).all()
    assert (back != x).any()
    again, same = quantise(back)
    assert torch.equal(again.to(dtype) * same, back), "what is read and written again stays"


def film(small: Any, cache: str, dtype: torch.dtype, **changes: Any) -> list[torch.Tensor]:
    """Eight blocks, past the window, with a prompt change."""
    config = small.config(**changes)
    generator = small.generator(config, cache=cache, dtype=dtype)
    world = generator.open(seed=3, embedding=small.embedding(config, 0))
    made = []
    for block in range(8):
        if block == 6:
            generator.cue(world, embedding=small.embedding(config, 1))
        made.append(generator.step(world).latents)
    return made


@pytest.mark.parametrize("recache", ["longlive", "causal"])
@pytest.mark.parametrize("sink", ["keep", "refresh"])
@pytest.mark.parametrize("positions", ["absolute", "relative"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_take_is_near_the_plain_ones(small: Any, dtype: torch.dtype, positions: str, sink: str, recache: str) -> None:
    changes = {"positions": positions, "sink_on_recache": sink, "recache": recache}
    plain, eight = film(small, "plain", dtype, **changes), film(small, "fp8", dtype, **changes)
    errors = [small.error(made, wanted) for made, wanted in zip(eight, plain, strict=True)]
    assert 1e-3 < max(errors) < 0.1, errors


def test_an_exact_snapshot_goes_on_bit_for_bit(small: Any) -> None:
    config = small.config(positions="relative")
    generator = small.generator(config, cache="fp8", dtype=torch.bfloat16)
    world = generator.open(seed=3, embedding=small.embedding(config, 0))
    for _ in range(5):
        generator.step(world)
    saved = generator.snapshot(world, exact=True)
    wanted = [generator.step(world).latents for _ in range(3)]
    again = generator.restore(saved)
    assert all(torch.equal(generator.step(again).latents, latents) for latents in wanted)


def test_it_takes_little_more_than_half_the_memory() -> None:
    config = preset("diorama")
    rope = Rope(config.transformer.head_dim, config.transformer.grid)
    held = []
    for kind in (RingCache, Fp8Cache):
        cache = kind(config, batch=1, rope=rope, attention=bmm, device="cpu", dtype=torch.bfloat16)
        tensors = {t.data_ptr(): t for t in vars(cache).values() if isinstance(t, torch.Tensor)}
        held.append(sum(t.numel() * t.element_size() for t in tensors.values()))
    # One layer at full width beside eight layers in eight bits, and a scale for each head and token.
    assert 0.5 < held[1] / held[0] < 0.7


def test_an_unknown_cache_is_refused(small: Any) -> None:
    with pytest.raises(BackendError, match="plain, fp8"):
        small.generator(small.config(), cache="int4")
