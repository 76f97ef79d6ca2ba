"""The mark in every film and contact sheet, so that a command replaces its own files and nobody else's."""

from pathlib import Path

SIGNATURE = "made by Longtake"
"""in a PNG's `Software`, in an MP4's `comment`"""
LOOK_BYTES = 4 * 1024 * 1024
"""both formats have it near the front"""


def is_ours(path: Path) -> bool:
    """Whether a file was written by Longtake. Raises `OSError`."""
    with path.open("rb") as file:
        return SIGNATURE.encode() in file.read(LOOK_BYTES)
