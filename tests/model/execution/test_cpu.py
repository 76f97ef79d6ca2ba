"""The regrouped layers against the plain ones, and the attention without a row's maximum against the one with it."""

from typing import Any

import pytest
import torch
from torch import Tensor

from longtake.model.execution.cpu import CpuLayer, flat
from longtake.model.generation.generator import Generator
from longtake.model.network.rope import Rope, rotate, turn
from longtake.model.ops import attention
from longtake.model.ops.attention import bmm, exp2_attention, prescaled, sdpa

LAYOUTS = [(3, 12, 3), (1, 9, 1), (2, 7, 1)]
"""block, window and sink frames"""


def film(small: Any, generator: Generator, **more: Any) -> list[Tensor]:
    """Past the end of the window, with a prompt change before and after it; then what the cache holds."""
    config = generator.config
    world = generator.open(seed=more.get("seed", 1), embedding=small.embedding(config, 0))
    made = []
    for index in range(2 * config.window_frames // config.block_frames):
        if index in (2, config.window_frames // config.block_frames + 1):
            generator.cue(world, embedding=small.embedding(config, index))
        made.append(generator.step(world).latents)
    return [*made, world.cache.keys, world.cache.values, world.cache.unrotated_sink_keys]


@pytest.mark.parametrize("recache", ["longlive", "causal"])
@pytest.mark.parametrize("positions", ["absolute", "relative"])
@pytest.mark.parametrize(("block", "window", "sink"), LAYOUTS)
def test_a_take_is_the_same(small: Any, block: int, window: int, sink: int, positions: str, recache: str) -> None:
    config = small.config(
        block_frames=block,
        window_frames=window,
        sink_frames=sink,
        positions=positions,
        recache=recache,
        sink_on_recache="refresh",
    )
    wanted, made = (film(small, small.generator(config, fused=fused)) for fused in (False, True))
    errors = [small.error(a, b) for a, b in zip(made, wanted, strict=True) if b.numel()]
    assert max(errors) < 2e-5, errors


def test_a_batch_is_the_same(small: Any) -> None:
    config = small.config(positions="relative")
    made, wanted = (film(small, small.generator(config, fused=fused), seed=[1, 2]) for fused in (True, False))
    assert made[0].shape[0] == 2
    assert max(small.error(a, b) for a, b in zip(made, wanted, strict=True)) < 1e-5


def test_in_bf16_it_is_no_farther_from_fp32(small: Any) -> None:
    config = small.config(positions="relative")
    exact = film(small, small.generator(config, fused=False))
    errors = {
        fused: [
            small.error(a, b)
            for a, b in zip(film(small, small.generator(config, fused=fused, dtype=torch.bfloat16)), exact, strict=True)
        ]
        for fused in (False, True)
    }
    assert sum(errors[True]) < 1.1 * sum(errors[False]), errors


def test_it_is_used_on_a_cpu_unless_plain_maps_are_asked_for(small: Any) -> None:
    config = small.config()
    assert len(small.generator(config).denoiser.fused) == config.transformer.layers
    assert small.generator(config, linear="plain").denoiser.fused == []


def test_other_attentions_work_too(small: Any) -> None:
    config = small.config()
    wanted = film(small, small.generator(config, fused=False))
    made = film(small, small.generator(config, fused=True, attention="sdpa"))
    assert max(small.error(a, b) for a, b in zip(made, wanted, strict=True) if b.numel()) < 1e-5


def test_a_layer_whose_maps_are_apart_is_refused(small: Any) -> None:
    with pytest.raises(ValueError, match="fuse them before"):
        CpuLayer(small.transformer(small.config()).layers[0])


def test_flat_modulation_is_the_same(small: Any) -> None:
    transformer = small.transformer(small.config())
    modulation = transformer.layers[0].modulate(transformer.embed_time(torch.tensor([[500.0]]))[1])
    for vector, plain in zip(flat(modulation), modulation, strict=True):
        assert vector.ndim == 1
        assert torch.equal(vector, plain[0, 0, 0])


def scaled(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    factor, function = prescaled(bmm, q.shape[-1])
    return function(q * factor, k, v)


def test_powers_are_the_softmax() -> None:
    q, k, v = torch.randn(2, 3, 10, 8), torch.randn(2, 3, 40, 8), torch.randn(2, 3, 40, 8)
    assert torch.allclose(scaled(q, k, v), sdpa(q, k, v), atol=1e-5)
    assert torch.allclose(scaled(q, k[:, :, :20], v[:, :, :20]), sdpa(q, k[:, :, :20], v[:, :, :20]), atol=1e-5)
    assert prescaled(sdpa, 8) == (1.0, sdpa)


@pytest.mark.parametrize("score", [-500.0, -60.0, 60.0, 500.0])
def test_scores_at_the_ends_of_the_number_range_take_the_long_way(score: float) -> None:
    q, k, v = torch.full((1, 1, 2, 4), 2.0), torch.full((1, 1, 5, 4), score / 4), torch.randn(1, 1, 5, 4)
    k[..., 0, :] += 0.01
    wanted = sdpa(q.double(), k.double(), v.double()).float()
    assert torch.allclose(scaled(q, k, v), wanted, atol=1e-4), "where it is finite and where it is not"


def test_the_long_way_is_taken_only_then(monkeypatch: pytest.MonkeyPatch) -> None:
    q, k, v = torch.randn(1, 1, 4, 8), torch.randn(1, 1, 6, 8), torch.randn(1, 1, 6, 8)
    made = exp2_attention(q, k, v)
    monkeypatch.setattr(attention, "SAFE_SUMS", (1e30, 1e35))
    long = exp2_attention(q, k, v)
    assert torch.allclose(made, long, atol=1e-6)
    assert not torch.equal(made, long), "nothing else was computed"


def test_turning_in_place_is_rotating() -> None:
    x = torch.randn(2, 3, 6, 2, 4, 16)
    table = Rope(16, (2, 3)).table(range(5, 8))
    wanted = torch.stack([rotate(part, table) for part in x.unbind(3)], dim=3)
    turn(x, table[:, :, None, None])
    assert torch.allclose(x, wanted, atol=1e-6)
