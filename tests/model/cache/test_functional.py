"""The cache that autograd sees through: the ring's outputs, and the gradients of finite differences."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from longtake.model.cache.base import Cache
from longtake.model.cache.functional import FunctionalCache
from longtake.model.cache.ring import RingCache
from longtake.model.config import GeneratorConfig, TransformerConfig
from longtake.model.errors import WorldError
from longtake.model.network.rope import Rope
from longtake.model.network.transformer import Transformer
from longtake.model.ops.attention import bmm, sdpa

LAYOUTS = [(3, 12, 3), (1, 9, 1), (1, 5, 3), (2, 7, 1), (3, 8, 1)]
"""block, window and sink frames"""

SIZES = TransformerConfig(
    dim=12,
    ffn_dim=8,
    heads=1,
    layers=2,
    text_tokens=2,
    text_dim=4,
    time_frequencies=4,
    latent_channels=2,
    latent_height=2,
    latent_width=2,
)


def functional(config: GeneratorConfig, dtype: torch.dtype = torch.float32, **changes: Any) -> FunctionalCache:
    rope = Rope(config.transformer.head_dim, config.transformer.grid)
    return FunctionalCache(config, rope=rope, attention=bmm, dtype=dtype, **changes)


def ring(config: GeneratorConfig, dtype: torch.dtype = torch.float32) -> RingCache:
    rope = Rope(config.transformer.head_dim, config.transformer.grid)
    return RingCache(config, batch=2, rope=rope, attention=bmm, device="cpu", dtype=dtype)


def random_qkv(config: GeneratorConfig, frames: int, source: torch.Generator) -> list[Tensor]:
    sizes = config.transformer
    shape = (3, 2, frames, sizes.frame_tokens, sizes.heads, sizes.head_dim)
    return list(torch.randn(shape, generator=source).unbind(0))


def film(cache: Cache, config: GeneratorConfig, dtype: torch.dtype) -> list[Tensor]:
    """Fill the window, go round, recache with the sink kept, go on, recache the whole window in blocks, go on."""
    source, outs = torch.Generator().manual_seed(1), []

    def forward(groups: tuple[int, ...], passes: int = 2) -> None:
        block = cache.begin(groups)
        for _ in range(passes):
            for layer in range(config.transformer.layers):
                q, k, v = (x.to(dtype) for x in random_qkv(config, sum(groups), source))
                outs.append(block.attend(layer)(q, k, v))
        cache.commit(block)

    size, window = config.block_frames, config.window_frames
    for _ in range(2 * window // size):
        forward((size,))
    cache.keep_sink(cache.end_frame - config.ring_frames)
    forward((config.ring_frames,), 1)
    for _ in range(window // size):
        forward((size,))
    cache.restart(cache.end_frame - window)
    forward((size,) * (window // size), 1)
    for _ in range(window // size):
        forward((size,))
    return outs


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("positions", ["absolute", "relative"])
@pytest.mark.parametrize(("block", "window", "sink"), LAYOUTS)
def test_outputs_are_the_rings(
    small: Any, block: int, window: int, sink: int, positions: str, dtype: torch.dtype
) -> None:
    config = small.config(block_frames=block, window_frames=window, sink_frames=sink, positions=positions)
    made, wanted = film(functional(config, dtype), config, dtype), film(ring(config, dtype), config, dtype)
    assert len(made) == len(wanted)
    # The sink is rotated frame by frame here and at once in the ring, which shows in the last bits.
    assert all(torch.allclose(one, other, rtol=0, atol=1e-5) for one, other in zip(made, wanted, strict=True))


@pytest.mark.parametrize("positions", ["absolute", "relative"])
@pytest.mark.parametrize("blocks", [1, 7])
def test_a_take_goes_on_from_what_was_saved(small: Any, positions: str, blocks: int) -> None:
    config = small.config(positions=positions)

    def extend(cache: Cache, seed: int, count: int) -> list[Tensor]:
        source, outs = torch.Generator().manual_seed(seed), []
        for _ in range(count):
            block = cache.begin((config.block_frames,))
            for layer in range(config.transformer.layers):
                outs.append(block.attend(layer)(*random_qkv(config, config.block_frames, source)))
            cache.commit(block)
        return outs

    caches = [functional(config), ring(config)]
    for cache in caches:
        extend(cache, 1, blocks)
    states = [cache.save() for cache in caches]
    assert states[0][:4] == states[1][:4]
    assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(states[0][4:], states[1][4:], strict=True))
    wanted = extend(caches[0], 2, 5)
    for state in states:
        again = functional(config)
        again.load(state)
        made = extend(again, 2, 5)
        assert all(torch.allclose(one, other, atol=1e-5) for one, other in zip(made, wanted, strict=True))
    with pytest.raises(WorldError, match="make a block first"):
        functional(config).save()


@pytest.mark.parametrize("positions", ["absolute", "relative"])
def test_a_pair_is_attended_with_as_apart(small: Any, positions: str) -> None:
    config = small.config(positions=positions)
    one, other = functional(config), functional(config)
    source = torch.Generator().manual_seed(2)
    for _ in range(6):
        q, k, v = random_qkv(config, 3, source)
        apart = one.begin((3,))
        together = other.begin((3,))
        for layer in range(config.transformer.layers):
            wanted = apart.attend(layer)(q, k, v)
            pair = torch.stack((q, k), dim=3).flatten(1, 2)
            made = together.attend_pair(layer, pair, v.flatten(1, 2), sdpa).unflatten(1, v.shape[1:3])
            assert torch.allclose(made, wanted, atol=1e-5)
        one.commit(apart)
        other.commit(together)


def rollout(config: GeneratorConfig, transformer: Transformer, text: Tensor, **changes: Any) -> Callable[..., Tensor]:
    """Return the loss of a take as a function of its blocks' noise: two steps and a clean pass for each block, past the
    window, with a recache of the whole window before the last block.
    """

    def loss(*noise: Tensor) -> Tensor:
        cache = functional(config, torch.float64, **changes)
        total, made = torch.zeros((), dtype=torch.float64), []
        for index, xt in enumerate(noise):
            if index == len(noise) - 1:
                again = made[-(config.window_frames // config.block_frames) :]
                cache.restart(cache.end_frame - len(again) * config.block_frames)
                write(cache, torch.cat(again, dim=1), (config.block_frames,) * len(again))
            block = cache.begin((config.block_frames,))
            t = torch.full(xt.shape[:2], 700.0, dtype=torch.float64)
            half = xt - 0.5 * transformer(xt, t, text, block.attend)
            x0 = half - 0.3 * transformer(half, t / 2, text, block.attend)
            write_block(x0, block.attend)
            cache.commit(block)
            made.append(x0)
            total = total + x0.square().sum() * (1 + index)
        return total

    def write(cache: FunctionalCache, latents: Tensor, groups: tuple[int, ...]) -> None:
        block = cache.begin(groups)
        write_block(latents, block.attend)
        cache.commit(block)

    def write_block(latents: Tensor, attend: Any) -> None:
        transformer(latents, torch.zeros(latents.shape[:2], dtype=torch.float64), text, attend)

    return loss


@pytest.mark.parametrize("positions", ["absolute", "relative"])
@pytest.mark.parametrize(("block", "window", "sink"), [(3, 9, 3), (1, 4, 1), (1, 5, 3), (3, 7, 1)])
def test_gradients_are_those_of_finite_differences(
    small: Any, monkeypatch: pytest.MonkeyPatch, block: int, window: int, sink: int, positions: str
) -> None:
    config = small.config(
        transformer=SIZES, block_frames=block, window_frames=window, sink_frames=sink, positions=positions
    )
    exact_rotations(monkeypatch)
    transformer = small.transformer(config).double()
    source = torch.Generator().manual_seed(3)
    text = torch.randn(1, 2, 4, generator=source, dtype=torch.float64)
    blocks = window // block + 2
    noise = [torch.randn(1, block, 2, 2, 2, generator=source, dtype=torch.float64) for _ in range(blocks)]
    loss = rollout(config, transformer, text, detach_history=False)
    inputs = [x.clone().requires_grad_() for x in noise]
    grads = torch.autograd.grad(loss(*inputs), inputs)
    step = 1e-5
    for index, grad in enumerate(grads):
        way = torch.randn(noise[index].shape, generator=source, dtype=torch.float64)
        ends = []
        for sign in (1, -1):
            moved = [x + sign * step * way if i == index else x for i, x in enumerate(noise)]
            with torch.no_grad():
                ends.append(loss(*moved))
        assert float((grad * way).sum()) == pytest.approx(float(ends[0] - ends[1]) / (2 * step), rel=1e-6), index


def exact_rotations(monkeypatch: pytest.MonkeyPatch) -> None:
    """RoPE in fp64: in fp32, as it is kept, its rounding would drown the differences."""
    from longtake.model.cache import window

    def rotate(x: Tensor, table: Tensor) -> Tensor:
        return window.rotated(x.flatten(1, 2).transpose(1, 2), table.flatten(0, 1)).transpose(1, 2).view(x.shape)

    def rotated(keys: Tensor, table: Tensor) -> Tensor:
        pairs = torch.view_as_complex(keys.unflatten(-1, (-1, 2)).contiguous())
        return torch.view_as_real(pairs * table.to(torch.complex128)).flatten(-2)

    monkeypatch.setattr(window, "rotate", rotate)
    monkeypatch.setattr(window, "rotated", rotated)
    monkeypatch.setattr("longtake.model.cache.functional.rotated", rotated)


def test_by_default_a_later_block_trains_itself_alone(small: Any) -> None:
    config = small.config(transformer=SIZES, block_frames=1, window_frames=4, sink_frames=1, positions="relative")
    transformer = small.transformer(config).double()
    text = torch.randn(1, 2, 4, dtype=torch.float64)
    for detach_history in (True, False):
        cache = functional(config, torch.float64, detach_history=detach_history)
        first, last = (torch.randn(1, 1, 2, 2, 2, dtype=torch.float64, requires_grad=True) for _ in range(2))
        for noise in (first, last):
            block = cache.begin((1,))
            flow = transformer(noise, torch.full((1, 1), 500.0, dtype=torch.float64), text, block.attend)
            cache.commit(block)
        into_first, into_last = torch.autograd.grad(flow.square().sum(), (first, last), allow_unused=True)
        assert into_last.abs().max() > 0
        assert (into_first is None) is detach_history


def test_steps_without_gradients_between_those_with_them(small: Any) -> None:
    """As a rollout does: an exit step with a gradient, then a clean pass without, then the backward pass."""
    config = small.config(transformer=SIZES, block_frames=1, window_frames=3, sink_frames=1, positions="relative")
    transformer = small.transformer(config).double()
    text, source = torch.randn(1, 2, 4, dtype=torch.float64), torch.Generator().manual_seed(4)
    cache, losses = functional(config, torch.float64), []
    for _ in range(6):
        noise = torch.randn(1, 1, 2, 2, 2, generator=source, dtype=torch.float64)
        t = torch.full((1, 1), 500.0, dtype=torch.float64)
        block = cache.begin((1,))
        with torch.no_grad():
            noise = noise - transformer(noise, t, text, block.attend)
        x0 = noise - transformer(noise, t, text, block.attend)
        losses.append(x0.square().sum())
        with torch.no_grad():
            transformer(x0, torch.zeros_like(t), text, block.attend)
        cache.commit(block)
    torch.stack(losses).sum().backward()
    grads = [parameter.grad for parameter in transformer.parameters()]
    assert all(grad is not None and bool(grad.isfinite().all()) for grad in grads)


def test_a_block_that_nothing_was_stored_in_is_refused(small: Any) -> None:
    config = small.config()
    cache = functional(config)
    with pytest.raises(WorldError, match="not every layer"):
        cache.commit(cache.begin((3,)))
    with pytest.raises(WorldError, match="another kind"):
        cache.commit(ring(config).begin((3,)))
