"""Reads a file of weights into a module, strictly."""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from longtake.model.errors import CheckpointError


def fill(module: nn.Module, path: Path) -> None:
    """Load a safetensors file into a module, strictly; raises CheckpointError naming file, key and remedy."""
    if not path.exists():
        raise CheckpointError(f"weights are missing: {path}; reinstall longtake, or train them (docs/training.md)")
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"weights cannot be read: {path} ({error}); reinstall longtake") from None
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
