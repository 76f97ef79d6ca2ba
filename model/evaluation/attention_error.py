"""How far attention in e4m3 is from exact attention, on random data and on what a model's layers really see.

`Fp8Attention` needs a Hopper GPU; `emulated` rounds as it does, on any device, so the error is known without one.

    errors = attention_errors(samples_of(generator, ["a fox in the snow"]))
    errors["smoothed"]        # relative L2 over all samples
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from longtake.model.cache.ring import RingCache
from longtake.model.errors import BackendError
from longtake.model.execution.eager import EagerExecutor
from longtake.model.generation.generator import Generator
from longtake.model.ops.attention import Attention, sdpa
from longtake.model.ops.attention.fp8 import Fp8Attention, emulated, saturated


class Sample(NamedTuple):
    """What one layer attends with: queries, keys after RoPE and values, [B, heads, tokens, head_dim] each."""

    q: Tensor
    k: Tensor
    v: Tensor


def as_it_lies(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend to a ring in e4m3, whose keys and values have a scale of one; see `Sample`."""
    return Fp8Attention(emulated)(q, saturated(k), saturated(v))


WAYS: Mapping[str, Attention] = {
    "smoothed": Fp8Attention(emulated),
    "not smoothed": Fp8Attention(emulated, smooth=False),
    "e4m3 ring": as_it_lies,
}
"""keys with their mean subtracted, keys as they are, and a ring that is kept in e4m3"""


def random_samples(count: int = 4, *, tokens: int = 1024, heads: int = 4, head_dim: int = 128) -> list[Sample]:
    """Return normal data: queries and keys with a root mean square of one, as the norms leave them."""
    source = torch.Generator().manual_seed(0)
    shape = (1, heads, tokens, head_dim)
    return [Sample(*(torch.randn(shape, generator=source) for _ in range(3))) for _ in range(count)]


def samples_of(generator: Generator, prompts: Sequence[str], *, seed: int = 0) -> list[Sample]:
    """Return what every layer sees in the last denoising pass of a block with a full window, for each prompt.

    Args:
        generator: with a text encoder; it must run layer by layer (execution `eager`, no graphs).
        prompts: a world is opened for each.
        seed: of the worlds.

    Raises:
        BackendError: it runs otherwise.
    """
    config, layers = generator.config, generator.config.transformer.layers
    passes = len(config.timesteps)
    samples: list[Sample] = []
    for prompt in prompts:
        world = generator.open(seed=seed, prompt=prompt)
        if not isinstance(world.cache, RingCache) or not isinstance(world.executor, EagerExecutor):
            raise BackendError("samples are taken layer by layer: use --option execution=eager and no CUDA graphs")
        for _ in range(-(-config.window_frames // config.block_frames)):
            generator.step(world)
        generator.settle(world)
        seen: list[Sample] = []
        world.cache.attention = _keeping(world.cache.attention, seen)
        generator.step(world)
        generator.close(world)
        samples += seen[(passes - 1) * layers : passes * layers]
    return samples


def attention_errors(samples: Sequence[Sample]) -> dict[str, float]:
    """Return the relative L2 error of each of `WAYS`, over all samples together."""
    wrong, whole = dict.fromkeys(WAYS, 0.0), 0.0
    for sample in samples:
        exact = sdpa(*(x.double() for x in sample))
        whole += float(exact.square().sum())
        for way, attention in WAYS.items():
            wrong[way] += float((attention(*sample).double() - exact).square().sum())
    return {way: float((total / whole) ** 0.5) for way, total in wrong.items()}


def _keeping(attention: Attention, seen: list[Sample]) -> Attention:
    """Return the same attention, which keeps what it is called with."""

    def keep(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        seen.append(Sample(*(x.float().clone() for x in (q, k, v))))
        return attention(q, k, v)

    return keep
