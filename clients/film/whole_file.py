"""Writes a file that appears whole or not at all, even if two programs write the same one.

with WholeFile(Path("take.png")) as file:
    page.save(file.part, format="PNG")
"""

import hashlib
import logging
import os
import secrets
import socket
from contextlib import suppress
from pathlib import Path
from types import TracebackType

log = logging.getLogger(__name__)


class WholeFile:
    """Writes to `part`, a file with a short unique name in the same folder, and renames it at the end.

    `begin`, then `land` or `discard`; a `with` block does that by itself. A process that is killed leaves its part
    behind. The next one that writes the same file on the same machine removes it.
    """

    def __init__(self, path: Path, *, replace: bool = True) -> None:
        """Without `replace` an existing file is kept, and this one takes the first free number (`free_name`)."""
        self.path = path
        """the final name, settled when the file has landed"""
        self._replace = replace
        # A digest of the name, because the name itself may be as long as the file system allows.
        owner = f"{socket.gethostname()}\0".encode() + os.fsencode(path.name)
        self._kind = f".lt-{hashlib.blake2b(owner, digest_size=4).hexdigest()}"
        self.part = path.with_name(f"{self._kind}-{os.getpid()}-{secrets.token_hex(3)}.part")
        """what to write to, after `begin`"""

    def __enter__(self) -> "WholeFile":
        self.begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                self.land()
        finally:
            self.discard()

    def begin(self) -> None:
        """Make the folder and an empty part, and remove parts that killed processes left. Raises `OSError`."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._sweep()
        os.close(os.open(self.part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))

    def land(self) -> None:
        """Flush the finished part to the disk and rename it. Raises `OSError`."""
        with self.part.open("r+b") as file:
            os.fsync(file.fileno())
        if self._replace:
            os.replace(self.part, self.path)
        else:
            self.path = _land_beside(self.part, self.path)

    def discard(self) -> None:
        """Remove the part, if it has not landed. Harmless when repeated."""
        with suppress(OSError):
            self.part.unlink(missing_ok=True)

    def _sweep(self) -> None:
        for left in self.path.parent.glob(f"{self._kind}-*.part"):
            process = left.name.removeprefix(f"{self._kind}-").partition("-")[0]
            if process.isdecimal() and not _lives(int(process)):
                log.debug("removing %s, which a killed process left", left)
                with suppress(OSError):
                    left.unlink()


def free_name(path: Path, *suffixes: str) -> Path:
    """Return the path, or the path with the first number that no file has, nor one of the other suffixes instead."""
    number, free = 1, path
    while any(os.path.lexists(one) for one in (free, *(free.with_suffix(suffix) for suffix in suffixes))):
        free, number = path.with_name(f"{path.stem}-{number}{path.suffix}"), number + 1
    return free


def _land_beside(part: Path, path: Path) -> Path:
    """Move the part to the first free name and return that, even if others look for one at the same time."""
    while True:
        free = free_name(path)
        try:
            os.link(part, free)  # unlike a rename it fails if the name has been taken meanwhile
        except FileExistsError:
            continue
        except OSError as error:
            log.debug("no links here (%s): renaming", error)
            os.rename(part, free)
        return free


def _lives(process: int) -> bool:
    """Whether a process runs on this machine. True if the system cannot tell."""
    if os.name == "nt":
        return True  # signal 0 is Ctrl-C there
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
