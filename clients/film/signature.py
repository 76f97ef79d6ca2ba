"""The mark in every film and contact sheet, so that a command replaces its own files and nobody else's."""

import os
from pathlib import Path

SIGNATURE = "made by Longtake"
"""in a PNG's `Software`, in the `comment` of an MP4 or a GIF, in a WebP's XMP"""
LOOK_BYTES = 4 * 1024 * 1024
"""most formats have it near the front; a WebP has it at its end"""


def is_ours(path: Path) -> bool:
    """Whether a file was written by Longtake; a pipe or a device is not. Raises `OSError`."""
    if not path.is_file():  # opening a pipe would wait for whoever writes to it
        return False
    with path.open("rb") as file:
        if SIGNATURE.encode() in file.read(LOOK_BYTES):
            return True
        file.seek(max(0, os.fstat(file.fileno()).st_size - LOOK_BYTES))
        return SIGNATURE.encode() in file.read(LOOK_BYTES)
