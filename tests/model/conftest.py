"""What the model's tests share: small random generators, and a plain implementation to hold them against."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from longtake.model.backend import Backend
from longtake.model.config import GeneratorConfig, preset
from longtake.model.generation.generator import Generator
from longtake.model.network.transformer import Transformer
from longtake.model.options import BackendOptions


def small_config(**changes: Any) -> GeneratorConfig:
    """The tiny preset with fields changed."""
    return replace(preset("tiny"), **changes)


def random_transformer(config: GeneratorConfig, seed: int = 0) -> Transformer:
    """Weights that make attention sharp and every parameter matter."""
    torch.manual_seed(seed)
    transformer = Transformer(config.transformer)
    with torch.no_grad():
        for name, parameter in transformer.named_parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
            if ".norm_" in name:
                parameter.mul_(1.5)
    return transformer


def random_embedding(config: GeneratorConfig, seed: int, batch: int = 1) -> Tensor:
    """A prompt's tokens [B, text_tokens, text_dim]."""
    generator = torch.Generator().manual_seed(seed)
    sizes = config.transformer
    return torch.randn(batch, sizes.text_tokens, sizes.text_dim, generator=generator)


def small_backend(
    config: GeneratorConfig, device: str = "cpu", dtype: torch.dtype = torch.float32, **asked: Any
) -> Backend:
    """How a small generator computes; what is asked for by the names of `BackendOptions`."""
    return Backend.chosen(device, dtype, BackendOptions(**asked), block_tokens=config.block_tokens)


def small_generator(config: GeneratorConfig, seed: int = 0, **backend: Any) -> Generator:
    """A generator without decoder and text encoder; arguments as `small_backend`."""
    return Generator(random_transformer(config, seed), None, None, config, small_backend(config, **backend))


def relative_error(made: Tensor, wanted: Tensor) -> float:
    """|made - wanted| / |wanted|."""
    made, wanted = made.detach().double(), wanted.detach().double()
    return float((made - wanted).norm() / wanted.norm())


class PlainWorld:
    """A take computed the slow way: every frame's keys kept by index, unrotated; explicit masks; fp64 attention.

    It shares the transformer's linear maps with the code under test, and nothing else.
    """

    def __init__(self, transformer: Transformer, config: GeneratorConfig, embedding: Tensor) -> None:
        self.transformer, self.config = transformer, config
        self.keys: dict[int, list[tuple[Tensor, Tensor]]] = {}
        self.latents: dict[int, Tensor] = {}
        self.sink: list[int] = []
        self.end = 0
        self.actions: dict[int, tuple[float, ...]] = {}
        self.set_prompt(embedding)

    def set_prompt(self, embedding: Tensor) -> None:
        self.prompt_kv = self.transformer.prompt_kv(self.transformer.embed_text(embedding))

    # What is visible

    def visible(self, current: Sequence[int]) -> list[int]:
        """Frames seen by a block in streaming, itself included: the sink, and the last others."""
        others = [frame for frame in sorted({*self.keys, *current}) if frame not in self.sink and frame <= current[-1]]
        return [*self.sink, *others[len(others) - min(len(others), self.config.ring_frames) :]]

    def grow_sink(self, current: Sequence[int]) -> None:
        self.sink += [f for f in current if f not in self.sink][: self.config.sink_frames - len(self.sink)]

    # Forwards

    def forward(
        self,
        current: Sequence[int],
        latents: Tensor,
        t: float,
        window: Sequence[int],
        sees: Callable[[int, int], bool] = lambda q, k: True,
    ) -> Tensor:
        """Flow of the current frames [B, F, C, h, w]; their keys replace those kept. window: in slot order."""
        position = {frame: frame for frame in window}
        if self.config.positions == "relative":
            position = {frame: slot for slot, frame in enumerate(window)}
        transformer = self.transformer
        x = transformer.embed_patches(latents)
        rest = [0.0] * self.config.transformer.actions
        actions = torch.tensor([[list(self.actions.get(frame, rest)) for frame in current]]) if rest else None
        e, e0 = transformer.embed_time(torch.full((1, len(current)), t), actions)
        fresh: dict[int, list[tuple[Tensor, Tensor]]] = {frame: [] for frame in current}
        for index, layer in enumerate(transformer.layers):

            def attend(q: Tensor, k: Tensor, v: Tensor, index: int = index) -> Tensor:
                for offset, frame in enumerate(current):
                    fresh[frame].append((k[:, offset], v[:, offset]))
                kept = [(fresh if frame in fresh else self.keys)[frame][index] for frame in window]
                turned = [self.turn(k, position[frame]) for frame, (k, _) in zip(window, kept, strict=True)]
                outs = []
                for offset, frame in enumerate(current):
                    query = self.turn(q[:, offset], position[frame])
                    bias = torch.cat(
                        [torch.full((q.shape[2],), 0.0 if sees(frame, other) else -math.inf) for other in window]
                    ).double()
                    scores = torch.einsum("bqhd,bkhd->bhqk", query, torch.cat(turned, 1)) / q.shape[-1] ** 0.5 + bias
                    values = torch.cat([v for _, v in kept], 1).double()
                    outs.append(torch.einsum("bhqk,bkhd->bqhd", scores.softmax(-1), values))
                return torch.stack(outs, 1).to(q.dtype)

            x = layer(x, e0, attend, self.prompt_kv[index])
        self.keys.update(fresh)
        return transformer.head(x, e)

    def turn(self, x: Tensor, frame: int) -> Tensor:
        """RoPE of one frame's tokens [B, S, heads, head_dim], channel by channel, fp64."""
        rows, columns = self.config.transformer.grid
        channels = x.shape[-1] // 2
        third = channels // 3
        split = (channels - 2 * third, third, third)
        out = x.double().clone()
        for token in range(rows * columns):
            where = (frame, token // columns, token % columns)
            angles = [p * 10000.0 ** (-i / n) for p, n in zip(where, split, strict=True) for i in range(n)]
            cos = torch.tensor([math.cos(a) for a in angles], dtype=torch.float64)
            sin = torch.tensor([math.sin(a) for a in angles], dtype=torch.float64)
            even, odd = x[:, token, :, ::2].double(), x[:, token, :, 1::2].double()
            out[:, token, :, ::2] = even * cos - odd * sin
            out[:, token, :, 1::2] = even * sin + odd * cos
        return out

    # Verbs

    def step(self, noise: Tensor) -> Tensor:
        """noise: [steps, B, F, C, h, w] -> the block's latents."""
        config = self.config
        current = range(self.end, self.end + config.block_frames)
        self.grow_sink(current)
        window = self.visible(current)
        levels = [s / 1000 for s in config.timesteps]
        sigmas = [config.shift * s / (1 + (config.shift - 1) * s) for s in levels]
        x = noise[0]
        for index, sigma in enumerate(sigmas):
            if index:
                x = (1 - sigma) * x + sigma * noise[index]
            x = x - sigma * self.forward(current, x, sigma * 1000, window)
        self.write(current, x)
        return x

    def write(self, current: Sequence[int], latents: Tensor) -> None:
        """The clean pass of a block."""
        self.grow_sink(current)
        self.forward(current, latents, 0.0, self.visible(current))
        for offset, frame in enumerate(current):
            self.latents[frame] = latents[:, offset]
        self.end = current[-1] + 1

    def stack(self, frames: Sequence[int]) -> Tensor:
        return torch.stack([self.latents[frame] for frame in frames], 1)

    def recache_longlive(self, keep_sink: bool) -> None:
        """The table of the reference: one pass, no mask."""
        config, c = self.config, self.end
        if c > config.window_frames and keep_sink:
            frames = range(c - config.ring_frames, c)
            self.forward(frames, self.stack(frames), 0.0, [*self.sink, *frames])
            return
        frames = range(c - min(config.window_frames, c), c)
        self.sink = list(frames[: config.sink_frames])
        self.keys.clear()
        self.forward(frames, self.stack(frames), 0.0, frames)

    def recache_causal(self, keep_sink: bool) -> None:
        """Stream the same latents afresh, block by block."""
        config, c = self.config, self.end
        if c > config.window_frames and keep_sink:
            frames = list(range(c - config.ring_frames, c))
            window = [*self.sink, *frames]
            self.forward(frames, self.stack(frames), 0.0, window, self.sees_earlier_blocks)
            return
        frames = list(range(c - min(config.refreshed_frames, c), c))
        self.keys.clear()
        self.sink = []
        for block in self.blocks(frames):
            self.write(block, self.stack(block))

    def sees_earlier_blocks(self, query: int, key: int) -> bool:
        size = self.config.block_frames
        return key in self.sink or key // size <= query // size

    def blocks(self, frames: Sequence[int]) -> list[list[int]]:
        size = self.config.block_frames
        return [[f for f in frames if f // size == b] for b in sorted({f // size for f in frames})]

    def clear(self) -> None:
        self.keys.clear()
        self.sink = []


@pytest.fixture
def small() -> Any:
    """The helpers of this file, by name."""

    class Helpers:
        config = staticmethod(small_config)
        transformer = staticmethod(random_transformer)
        embedding = staticmethod(random_embedding)
        backend = staticmethod(small_backend)
        generator = staticmethod(small_generator)
        error = staticmethod(relative_error)
        plain = PlainWorld

    return Helpers
