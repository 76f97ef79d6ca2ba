"""Reads files of weights, strictly."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final, TypeVar, cast, get_args

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from longtake.model.config import GeneratorConfig, SamplerName, TransformerConfig
from longtake.model.errors import CheckpointError, ConfigError
from longtake.model.json_object import parse_object
from longtake.model.pieces import pieces

U = TypeVar("U", TransformerConfig, None)

SIZES: Final = "transformer"
"""where a file of weights keeps the sizes of its network"""
SAMPLER: Final = "sampler"
"""where it keeps the sampler that its network was distilled for, if it was"""
TIMESTEPS: Final = "timesteps"
"""where it keeps that sampler's steps; without them they are the model's usual ones"""


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a network wants to be sampled."""

    sampler: SamplerName
    timesteps: tuple[float, ...] | None = None
    """as of `GeneratorConfig`; None for the model's usual ones"""

    @classmethod
    def of(cls, config: GeneratorConfig) -> "Sampling":
        """Return how a generator samples."""
        return cls(sampler=config.sampler, timesteps=config.timesteps)

    def drive(self, config: GeneratorConfig) -> GeneratorConfig:
        """Return a generator's config that samples so."""
        return replace(config, sampler=self.sampler, timesteps=self.timesteps or config.timesteps)


def read(path: Path) -> dict[str, Tensor]:
    """Return a part's tensors, from all of its pieces; raises CheckpointError naming file and remedy."""
    state: dict[str, Tensor] = {}
    for piece in pieces(path):
        if not piece.exists():
            raise CheckpointError(f"weights are missing: {path}; reinstall longtake, or train them (docs/training.md)")
        try:
            state |= load_file(piece)
        except (SafetensorError, OSError) as error:
            raise CheckpointError(f"weights cannot be read: {piece} ({error}); reinstall longtake") from None
    return state


def read_sizes(path: Path, usual: U) -> TransformerConfig | U:
    """Return the sizes of the network that weights are of; `usual` if they do not say.

    Raises:
        CheckpointError: they say something that this version cannot build, or cannot be read.
    """
    text = _said(path).get(SIZES)
    if text is None:
        return usual
    try:
        said = parse_object(text)
        known = {field.name for field in fields(TransformerConfig)}
        if unknown := sorted(set(said) - known):
            raise ConfigError(f"it has {unknown[0]}, which this version does not know")
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in said.items()}
        return TransformerConfig(**values)
    except (TypeError, ValueError) as error:
        raise CheckpointError(f"the sizes in {path} cannot be used: {error}; reinstall longtake") from None


def read_sampling(path: Path) -> Sampling | None:
    """Return how weights want to be sampled; None if they do not say.

    Raises:
        CheckpointError: this version does not know it, or they cannot be read.
    """
    said = _said(path)
    if SAMPLER not in said:
        return None
    sampler = said[SAMPLER]
    if sampler not in get_args(SamplerName):
        raise CheckpointError(
            f"{path} is for the sampler {sampler!r}, which this version does not know; update longtake"
        )
    try:
        steps = None if TIMESTEPS not in said else tuple(float(t) for t in json.loads(said[TIMESTEPS]))
    except (TypeError, ValueError):
        raise CheckpointError(
            f"the timesteps in {path} cannot be used: {said[TIMESTEPS]}; reinstall longtake"
        ) from None
    return Sampling(sampler=cast("SamplerName", sampler), timesteps=steps)


def read_config(path: Path, usual: GeneratorConfig) -> GeneratorConfig:
    """Return how weights want to be driven: `usual`, but for the sizes and the sampling that they name.

    Raises:
        CheckpointError: they name what this version cannot build, or cannot be read.
    """
    config, sampling = replace(usual, transformer=read_sizes(path, usual.transformer)), read_sampling(path)
    try:
        return config if sampling is None else sampling.drive(config)
    except ConfigError as error:
        raise CheckpointError(f"{path} cannot be sampled: {error}; reinstall longtake") from None


def _said(path: Path) -> dict[str, str]:
    """Return what the first piece of a part says of it; nothing if it is not there yet."""
    piece = pieces(path)[0]
    if not piece.exists():
        return {}
    try:
        with safe_open(piece, "pt") as file:
            return file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"weights cannot be read: {piece} ({error}); reinstall longtake") from None


def fill(module: nn.Module, path: Path) -> None:
    """Load a part's weights into a module, strictly; raises CheckpointError naming file, key and remedy."""
    put(module, read(path), path)


def put(module: nn.Module, state: Mapping[str, Tensor], path: Path) -> None:
    """Load tensors into a module, strictly; as `fill`, for tensors that were read from `path` and chosen from."""
    own = module.state_dict()
    for key, value in own.items():
        if key not in state:
            raise CheckpointError(f"{path} lacks {key}: it belongs to another version; reinstall longtake")
        if state[key].shape != value.shape:
            raise CheckpointError(
                f"{path}: {key} is {list(state[key].shape)}, not {list(value.shape)}; reinstall longtake"
            )
    for key in state:
        if key not in own:
            raise CheckpointError(f"{path} has {key}, which this version does not know; reinstall longtake")
    module.load_state_dict({key: value.to(own[key].dtype) for key, value in state.items()})
