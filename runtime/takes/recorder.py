"""Recording a world's take file. A disk that fails ends the recording, never the world."""

import logging
import threading
import unicodedata
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from longtake.protocol.errors import Refused
from longtake.protocol.text import JOINERS
from longtake.runtime.takes.file import TakeEnd, TakeRecord, TakeWriter

log = logging.getLogger(__name__)
SUFFIX = ".take"
MAX_NAME_BYTES = 120


class Recorder:
    """The recording of one world, if there is one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: TakeWriter | None = None
        self._failure = ""
        """why the last recording ended by itself, until somebody has tried to stop it or a new one began"""

    @property
    def name(self) -> str:
        """File name of the take that is being recorded; empty if none is."""
        return self._writer.path.name if self._writer is not None else ""

    def start(self, name: str, records: Iterable[TakeRecord]) -> str:
        """Create a take file, write the take so far, and return its name. Raises `Refused("recording")`."""
        if self._writer is not None:
            raise Refused("recording", f"{self.name} is being recorded already; stop that first")
        path = self._folder / checked_name(name)
        self._failure = ""
        try:
            self._writer = TakeWriter(path)
            self._writer.write(*records)
        except FileExistsError:
            raise Refused("recording", f"{path.name} exists already; takes are never overwritten") from None
        except OSError as error:
            writer, self._writer = self._writer, None
            if writer is not None:
                _close_quietly(writer)
                with suppress(OSError):
                    path.unlink()  # made by us, and good for nothing
            raise Refused("recording", f"{path} cannot be written: {error.strerror or error}") from None
        return path.name

    def write(self, record: TakeRecord) -> str:
        """Append a record if a take is being recorded. Return what went wrong; the recording has ended then."""
        if self._writer is None:
            return ""
        try:
            self._writer.write(record)
        except OSError as error:
            self._failure = f"{self.name} ends here, it cannot be written: {error.strerror or error}"
            self._close()
            return self._failure
        return ""

    def stop(self, tick: int) -> str:
        """End the recording in order and return its name; empty if nothing was recorded.

        Raises `Refused("recording")` if it has ended before because it could not be written, or ends so now.
        """
        name = self.name
        if self._writer is not None and not self.write(TakeEnd(tick=tick)):
            self._close()
        failure, self._failure = self._failure, ""
        if failure:
            raise Refused("recording", failure)
        return name

    def _close(self) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            # Flushing to the disk can take a while, and the tick must not wait for it.
            threading.Thread(target=_close_quietly, args=(writer,), name="take-close").start()


def checked_name(name: str) -> str:
    """Return a file name for a take: one part, no folder, with the suffix. Raises `Refused("recording")`."""
    name = name if name.endswith(SUFFIX) else name + SUFFIX
    if name.startswith(".") or not all(_plain(character) for character in name):
        raise Refused(
            "recording",
            f"{name[:80]!r} is no file name for a take: begin with a letter or digit, and use letters, digits, spaces, "
            "dots, dashes and underscores",
        )
    if len(name.encode()) > MAX_NAME_BYTES:
        raise Refused("recording", f"{name[:80]!r} is no file name for a take: more than {MAX_NAME_BYTES} bytes")
    return name


def _plain(character: str) -> bool:
    """Whether a take's name may have it. Many scripts write vowels as marks, and some need joiners."""
    return (
        character.isalnum() or character in "._- " or character in JOINERS or unicodedata.category(character)[0] == "M"
    )


def _close_quietly(writer: TakeWriter) -> None:
    try:
        writer.close()
    except OSError as error:
        log.error("%s may be incomplete: %s", writer.path, error)
