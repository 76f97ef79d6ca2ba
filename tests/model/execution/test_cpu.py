"""The regrouped layers against the plain ones, and the attention without a row's maximum against the one with it."""

from typing import Any

import pytest
import torch
from torch import Tensor

from longtake.model.execution.cpu import CpuExecutor, CpuLayer, flat
from longtake.model.execution.eager import EagerExecutor
from longtake.model.generation.generator import Generator
from longtake.model.network.rope import Rope, rotate, turn

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
    generator.settle(world)
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
    wanted, made = (film(small, small.generator(config, execution=execution)) for execution in ("eager", "cpu"))
    errors = [small.error(a, b) for a, b in zip(made, wanted, strict=True) if b.numel()]
    assert max(errors) < 2e-5, errors


def test_a_batch_is_the_same(small: Any) -> None:
    config = small.config(positions="relative")
    made, wanted = (
        film(small, small.generator(config, execution=execution), seed=[1, 2]) for execution in ("cpu", "eager")
    )
    assert made[0].shape[0] == 2
    assert max(small.error(a, b) for a, b in zip(made, wanted, strict=True)) < 1e-5


def test_in_bf16_it_is_no_farther_from_fp32(small: Any) -> None:
    config = small.config(positions="relative")
    exact = film(small, small.generator(config, execution="eager"))

    def half(execution: str) -> list[Tensor]:
        return film(small, small.generator(config, execution=execution, dtype=torch.bfloat16))

    errors = {
        execution: [small.error(a, b) for a, b in zip(half(execution), exact, strict=True)]
        for execution in ("eager", "cpu")
    }
    assert sum(errors["cpu"]) < 1.1 * sum(errors["eager"]), errors


def test_it_is_used_on_a_cpu_unless_plain_linears_are_asked_for(small: Any) -> None:
    config = small.config()
    assert isinstance(small.generator(config).executor, CpuExecutor)
    assert isinstance(small.generator(config, linear="plain").executor, EagerExecutor)


def test_other_attentions_work_too(small: Any) -> None:
    config = small.config()
    wanted = film(small, small.generator(config, execution="eager"))
    made = film(small, small.generator(config, execution="cpu", attention="sdpa"))
    assert max(small.error(a, b) for a, b in zip(made, wanted, strict=True) if b.numel()) < 1e-5


def test_a_layer_whose_linears_are_apart_is_refused(small: Any) -> None:
    with pytest.raises(ValueError, match="call fuse_qkv first"):
        CpuLayer(small.transformer(small.config()).layers[0])


def test_flat_modulation_is_the_same(small: Any) -> None:
    transformer = small.transformer(small.config())
    modulation = transformer.layers[0].modulate(transformer.embed_time(torch.tensor([[500.0]]))[1])
    for vector, plain in zip(flat(modulation), modulation, strict=True):
        assert vector.ndim == 1
        assert torch.equal(vector, plain[0, 0, 0])


def test_turning_in_place_is_rotating() -> None:
    x = torch.randn(2, 3, 6, 2, 4, 16)
    table = Rope(16, (2, 3)).table(range(5, 8))
    wanted = torch.stack([rotate(part, table) for part in x.unbind(3)], dim=3)
    turn(x, table[:, :, None, None])
    assert torch.allclose(x, wanted, atol=1e-6)
