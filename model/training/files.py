"""Files that are whole or not there, whatever happens while they are written."""

import contextlib
from collections.abc import Callable
from pathlib import Path

from safetensors import SafetensorError

from longtake.model import whole_file
from longtake.model.errors import TrainingError


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Let `write` fill a temporary file beside `path`, then put it in place at once.

    Raises:
        TrainingError: the disk is full or refuses; the old file is still there and the temporary one is gone.
    """
    try:
        whole_file.write_whole(path, write)
    except (OSError, SafetensorError, RuntimeError) as error:
        # torch.save and safetensors have their own for a full disk
        raise TrainingError(
            f"cannot write {path}: {_reason(error)}; mend that and run the same command again, it goes on from "
            "the last checkpoint"
        ) from error


def append_line(path: Path, line: str) -> None:
    """Append a whole line or nothing.

    Raises:
        TrainingError: the disk is full or refuses.
    """
    data = (line + "\n").encode()
    with path.open("ab", buffering=0) as file:
        size = file.tell()
        try:
            if file.write(data) != len(data):
                raise OSError("no space left on the device")
        except OSError as error:
            with contextlib.suppress(OSError):
                file.truncate(size)
            raise TrainingError(
                f"cannot write {path}: {_reason(error)}; mend that and run the command again"
            ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return (str(error).splitlines() or [type(error).__name__])[0]
