"""Files that are whole or not there, whatever happens while they are written."""

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in place at once.

    Raises what `write` raises, and `OSError`; then the old file is still there and the temporary one is gone.
    """
    beside = beside_of(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(beside)
        beside.chmod(0o644)
        os.replace(beside, path)
    finally:
        with contextlib.suppress(OSError):
            beside.unlink(missing_ok=True)


def beside_of(path: Path) -> Path:
    """Return a temporary name in the same folder: unique and short; the name itself may be as long as allowed."""
    return path.with_name(f".lt-{os.getpid()}-{secrets.token_hex(3)}.part")
