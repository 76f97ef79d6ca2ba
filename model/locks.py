"""A lock between processes: one job at a time for a file or a folder.

with locked(folder / ".lock"):
    ...
"""

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path


class Locked(Exception):
    """Another process holds the lock."""


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file `path` during the block, and remove it at the end. A process that dies lets go of it.

    Raises:
        Locked: another process holds it.
        OSError: the file cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    try:
        _take(handle)
        # The one before may have removed the file between our opening and locking it: that lock is worth nothing.
        if not _is_at(handle, path):
            raise Locked(str(path))
        try:
            yield
        finally:
            with contextlib.suppress(OSError):  # Windows does not remove an open file; it may stay.
                path.unlink()
    finally:
        os.close(handle)


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _take(handle: int) -> None:
    """Lock an open file without waiting. Raises `Locked`."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise Locked(str(error)) from None
