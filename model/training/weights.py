"""Writes weights as they ship: bf16, each file below 15 MB, with the sizes of the network inside."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

from safetensors.torch import save_file
from torch import Tensor

from longtake.model.config import TransformerConfig
from longtake.model.errors import TrainingError
from longtake.model.pieces import piece_path, pieces
from longtake.model.training.files import write_whole
from longtake.model.weights import SAMPLER, SIZES, TIMESTEPS, Sampling

MOST_BYTES: Final = 14_500_000
"""of a file's tensors; its header comes on top"""


def half(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return floating-point tensors in bf16, the others as they are."""
    return {k: (v.bfloat16() if v.is_floating_point() else v).contiguous() for k, v in state.items()}


def metadata_of(sizes: TransformerConfig | None, sampling: Sampling | None) -> dict[str, str]:
    """Return what a file of weights says of its network: its sizes, and how it wants to be sampled."""
    said = {} if sizes is None else {SIZES: json.dumps(asdict(sizes))}
    if sampling is not None:
        said[SAMPLER] = sampling.sampler
        if sampling.timesteps is not None:
            said[TIMESTEPS] = json.dumps(sampling.timesteps)
    return said


def write_weights(
    state: Mapping[str, Tensor],
    path: Path,
    *,
    sizes: TransformerConfig | None = None,
    sampling: Sampling | None = None,
    most_bytes: int = MOST_BYTES,
) -> list[Path]:
    """Write a part's weights, split if they are large, in the place of those that were there.

    Args:
        state: tensors by name.
        path: of the part; pieces are named after it (`longtake.model.pieces`).
        sizes: of a transformer, kept in the file.
        sampling: that a transformer was distilled for, kept in the file.
        most_bytes: of a file's tensors.

    Returns:
        The files.

    Raises:
        TrainingError: the disk is full, or one tensor alone is too large.
    """
    shares = _share_out(state, most_bytes)
    metadata = metadata_of(sizes, sampling)
    before = pieces(path)
    written = []
    for number, names in enumerate(shares, start=1):
        target = piece_path(path, number, len(shares))
        piece = {name: state[name] for name in names}
        write_whole(target, lambda beside, piece=piece: save_file(piece, beside, metadata))  # type: ignore[misc]
        written.append(target)
    for old in before:
        if old not in written:
            old.unlink(missing_ok=True)
    return written


def _share_out(state: Mapping[str, Tensor], most_bytes: int) -> list[list[str]]:
    """Share the tensors out in their order, as few files as can be."""
    shares: list[list[str]] = [[]]
    used = 0
    for name, value in state.items():
        size = value.numel() * value.element_size()
        if size > most_bytes:
            raise TrainingError(f"{name} alone is {size} bytes, more than the {most_bytes} of a file")
        if used + size > most_bytes:
            shares.append([])
            used = 0
        shares[-1].append(name)
        used += size
    return shares
