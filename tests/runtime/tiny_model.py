"""A real network at a size for tests, with two axes. `load` is the factory, `tiny_model:load`."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from longtake.model.config import preset
from longtake.model.generation.generator import Generator
from longtake.model.interface import Axis, ModelInfo
from longtake.model.loaded import LoadedModel
from longtake.model.network.transformer import Transformer

HEIGHT, WIDTH, FRAMES_PER_LATENT = 8, 12, 4


class Decoder:
    """Four pictures a latent frame, from its mean and a memory of those before."""

    def open(self, batch: int) -> dict[str, Tensor]:
        return {"memory": torch.zeros(batch)}

    def decode(self, latents: Tensor, state: dict[str, Tensor]) -> Tensor:
        state["memory"] = state["memory"] * 0.5 + latents[:, 0].mean((1, 2, 3)).float()
        values = (state["memory"][:, None] * torch.arange(1, FRAMES_PER_LATENT + 1) * 40).sigmoid()
        return values[:, :, None, None, None].expand(-1, -1, 3, HEIGHT, WIDTH)


class Encoder:
    """Tokens drawn from the prompt's length."""

    def __init__(self, tokens: int, width: int) -> None:
        self._shape = tokens, width

    def encode(self, prompts: list[str]) -> Tensor:
        drawn = [torch.randn(*self._shape, generator=torch.Generator().manual_seed(len(p))) for p in prompts]
        return torch.stack(drawn)


def load(name: str, **_: Any) -> LoadedModel:
    """The factory for the registry. Every parameter of the network matters."""
    config = preset("tiny")
    sizes = replace(config.transformer, actions=2)
    config = replace(config, transformer=sizes, block_frames=1, window_frames=5, sink_frames=1, recache="causal")
    generator = torch.Generator().manual_seed(0)
    transformer = Transformer(sizes)
    with torch.no_grad():
        for parameter in transformer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.2)
    info = ModelInfo(
        name=name,
        height=HEIGHT,
        width=WIDTH,
        fps=16,
        block_frames=FRAMES_PER_LATENT,
        first_block_frames=FRAMES_PER_LATENT,
        window_blocks=5,
        capabilities=("snapshot", "actions"),
        axes=(Axis(name="speed"), Axis(name="lift")),
    )
    encoder = Encoder(sizes.text_tokens, sizes.text_dim)
    return LoadedModel(Generator(transformer, Decoder(), encoder, config), info, None)
