"""Reads files of weights, strictly."""

from dataclasses import fields
from pathlib import Path
from typing import Any, Final, TypeVar, cast, get_args

from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from longtake.model.config import SamplerName, TransformerConfig
from longtake.model.errors import CheckpointError, ConfigError
from longtake.model.json_object import parse_object
from longtake.model.pieces import pieces

U = TypeVar("U", TransformerConfig, None)
S = TypeVar("S", SamplerName, None)

SIZES: Final = "transformer"
"""where a file of weights keeps the sizes of its network"""
SAMPLER: Final = "sampler"
"""where it keeps the sampler that its network was distilled for, if it was"""


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
        CheckpointError: they say something that this version cannot build.
    """
    piece = pieces(path)[0]
    if not piece.exists():
        return usual
    try:
        with safe_open(piece, "pt") as file:
            text = (file.metadata() or {}).get(SIZES)
        if text is None:
            return usual
        said = parse_object(text)
        known = {field.name for field in fields(TransformerConfig)}
        if unknown := sorted(set(said) - known):
            raise ConfigError(f"it has {unknown[0]}, which this version does not know")
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in said.items()}
        return TransformerConfig(**values)
    except (SafetensorError, OSError, TypeError, ValueError) as error:
        raise CheckpointError(f"the sizes in {piece} cannot be used: {error}; reinstall longtake") from None


def read_sampler(path: Path, usual: S) -> SamplerName | S:
    """Return the sampler that weights were distilled for; `usual` if they do not say.

    Raises:
        CheckpointError: this version does not know it.
    """
    piece = pieces(path)[0]
    if not piece.exists():
        return usual
    try:
        with safe_open(piece, "pt") as file:
            said = (file.metadata() or {}).get(SAMPLER, usual)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"weights cannot be read: {piece} ({error}); reinstall longtake") from None
    if said is None or said in get_args(SamplerName):
        return cast("SamplerName | S", said)
    raise CheckpointError(f"{piece} is for the sampler {said!r}, which this version does not know; update longtake")


def fill(module: nn.Module, path: Path) -> None:
    """Load a part's weights into a module, strictly; raises CheckpointError naming file, key and remedy."""
    state = read(path)
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
