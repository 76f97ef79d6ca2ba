"""Builds a model from a configuration alone, to measure sizes that have no weights: random weights, no pictures."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, get_args, get_origin

import torch
from torch import Tensor

from longtake.model.backend import Backend
from longtake.model.config import GeneratorConfig, TransformerConfig
from longtake.model.errors import ConfigError
from longtake.model.evaluation.plan import FRAMES_PER_LATENT, PIXELS_PER_LATENT
from longtake.model.generation.generator import Generator
from longtake.model.interface import ModelInfo
from longtake.model.loaded import LoadedModel
from longtake.model.network.transformer import Transformer
from longtake.model.ops.allocator import keep_freed_memory
from longtake.model.ops.precision import choose_device, choose_precision, precision_name
from longtake.model.options import BackendOptions


def changed(config: GeneratorConfig, texts: Mapping[str, str]) -> GeneratorConfig:
    """Return a configuration with fields of the generator or its transformer changed.

    Args:
        config: the configuration to start from.
        texts: new values by field; commas separate several values of one field.

    Raises:
        ConfigError: there is no such field, or the value is impossible.
    """
    of_transformer = {field.name: field.type for field in fields(TransformerConfig)}
    of_generator = {field.name: field.type for field in fields(GeneratorConfig) if field.name != "transformer"}
    known = of_transformer | of_generator
    for name in texts:
        if name not in known:
            raise ConfigError(f"no field is called {name!r}; there are {', '.join(known)}")
    values = {name: _value(name, text, known[name]) for name, text in texts.items()}
    sizes = replace(config.transformer, **{name: value for name, value in values.items() if name in of_transformer})
    driving = {name: value for name, value in values.items() if name in of_generator}
    return replace(config, transformer=sizes, **driving)


def _value(name: str, text: str, kind: Any) -> Any:
    """Convert a text to a field's type: a number, a word, or several numbers."""
    try:
        if kind in (int, float):
            return kind(text)
        if get_origin(kind) is tuple:
            return tuple(get_args(kind)[0](part) for part in text.split(","))
    except ValueError:
        raise ConfigError(f"{name}: {text!r} is not {'a number' if kind in (int, float) else 'numbers'}") from None
    return text


class RandomText:
    """A text encoder that draws tokens from the prompt's letters."""

    def __init__(self, config: TransformerConfig) -> None:
        self._shape = config.text_tokens, config.text_dim

    def encode(self, prompts: Sequence[str]) -> Tensor:
        """Return the tokens of prompts, [B, text_tokens, text_dim]."""
        drawn = []
        for prompt in prompts:
            source = torch.Generator().manual_seed(zlib.crc32(prompt.encode()))
            drawn.append(torch.randn(*self._shape, generator=source))
        return torch.stack(drawn)


def bare_model(
    name: str, config: GeneratorConfig, *, device: str = "auto", precision: str = "auto", linear: str = "auto"
) -> LoadedModel:
    """Return a model of a configuration with random weights and no decoder.

    Args:
        name: goes into the description.
        config: any configuration.
        device, precision: as `longtake.model.interface.LoadRequest`.
        linear: what computes the layers' linears (`longtake.model.ops.linear.registry`).

    Raises:
        BackendError: the device, the precision or the linears cannot be had here.
    """
    chosen = choose_device(device)
    dtype = choose_precision(precision, chosen)
    backend = Backend.chosen(chosen, dtype, BackendOptions(linear=linear), block_tokens=config.block_tokens)
    if chosen.type == "cpu":
        keep_freed_memory()
    sizes = config.transformer
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformer = Transformer(sizes)
        # The head starts at zero, and then nothing would depend on anything.
        torch.nn.init.xavier_uniform_(transformer.head.head.weight)
    generator = Generator(transformer, None, RandomText(sizes), config, backend)
    frames = FRAMES_PER_LATENT * config.block_frames
    info = ModelInfo(
        name=name,
        height=PIXELS_PER_LATENT * sizes.latent_height,
        width=PIXELS_PER_LATENT * sizes.latent_width,
        fps=config.fps,
        block_frames=frames,
        first_block_frames=frames,
        window_blocks=config.window_frames // config.block_frames,
        weights="random",
        device=str(chosen),
        precision=precision_name(dtype),
    )
    return LoadedModel(generator, info, None)
