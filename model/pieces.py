"""Weights in several files: a part that would be larger than 15 MB is split, so that each file stays below it.

`transformer.safetensors` is then `transformer-1-of-2.safetensors` and `transformer-2-of-2.safetensors`; whoever reads
the part still names it by the first of these. Imports no torch.
"""

import re
from pathlib import Path
from typing import Final

from longtake.model.errors import CheckpointError

_PIECE: Final = re.compile(r"-(\d+)-of-(\d+)$")


def piece_path(path: Path, number: int, count: int) -> Path:
    """Return the file of a part's piece, counted from 1; of one piece, the part's own."""
    return path if count == 1 else path.with_name(f"{path.stem}-{number}-of-{count}{path.suffix}")


def pieces(path: Path) -> list[Path]:
    """Return the files that hold a part; `[path]` if there are none.

    Raises:
        CheckpointError: pieces are missing, or are of two versions.
    """
    if path.is_file():
        return [path]
    found = sorted(each for each in path.parent.glob(f"{path.stem}-*{path.suffix}") if _PIECE.search(each.stem))
    if not found:
        return [path]
    match = _PIECE.search(found[0].stem)
    assert match is not None, "the filter above"
    count = int(match[2])
    wanted = [piece_path(path, number, count) for number in range(1, count + 1)]
    if found != sorted(wanted):
        lacking = [each.name for each in wanted if each not in found]
        said = f"{lacking[0]} is missing" if lacking else f"{found[-1].name} is of another version"
        raise CheckpointError(f"weights of {path.parent} are not whole: {said}; reinstall longtake")
    return wanted
