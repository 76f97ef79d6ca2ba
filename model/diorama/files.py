"""The files of diorama's weights, which are part of the package. Imports no torch."""

import hashlib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from longtake.model.pieces import pieces

PARTS = ("transformer", "decoder", "text_encoder", "probe")
"""one safetensors file each, in the order that their hash is made of"""

TEACHER = "teacher"
"""where a folder keeps the transformer that its own was distilled from: what training goes on with"""


def bundled_folder() -> Path:
    """Return the folder of the weights that ship."""
    return Path(str(files("longtake.model.diorama") / "weights"))


def part_paths(folder: Path) -> list[Path]:
    """Return the path of every part in a folder."""
    return [folder / f"{part}.safetensors" for part in PARTS]


def undistilled(folder: Path) -> Path:
    """Return the folder of the transformer that a folder's was distilled from; the folder itself if it was not."""
    teacher = folder / TEACHER
    return teacher if pieces(teacher / "transformer.safetensors")[0].exists() else folder


def digest(paths: Sequence[Path]) -> str:
    """Return the first 16 hex digits of the files' blake2b."""
    total = hashlib.blake2b(digest_size=8)
    for path in paths:
        for piece in pieces(path):
            total.update(piece.read_bytes())
    return total.hexdigest()
