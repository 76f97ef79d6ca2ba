"""Keys and values in eight bits against the plain cache."""

from typing import Any

import pytest
import torch

from longtake.model.cache.fp8 import Fp8Cache, cache_names, quantise
from longtake.model.errors import BackendError


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


def test_it_takes_the_memory_it_says(small: Any) -> None:
    config = small.config()
    bytes_of = {}
    for name in cache_names():
        generator = small.generator(config, cache=name, dtype=torch.bfloat16)
        world = generator.open(seed=[3, 4], embedding=small.embedding(config, 0, 2))
        cache = world.cache
        held = [cache.keys, cache.values, *(t for pair in world.prompt_kv for t in pair)]
        if isinstance(cache, Fp8Cache):
            held += [cache.key_scales, cache.value_scales, cache._full_keys, cache._full_values]
        bytes_of[name] = generator.world_bytes(batch=2)
        assert bytes_of[name] == sum(t.numel() * t.element_size() for t in held), name


def test_an_unknown_cache_is_refused(small: Any) -> None:
    with pytest.raises(BackendError, match="plain, fp8"):
        small.generator(small.config(), cache="int4")
