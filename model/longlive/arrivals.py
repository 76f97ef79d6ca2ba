"""The file that a download is written to: what is not the file's, such as a captive portal's page, does not get in."""

import os
from pathlib import Path
from typing import BinaryIO

BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class NotTheFile(Exception):
    """What comes is something else: a web page, or more bytes than the file has."""


class Arrivals:
    """Stands for the file that huggingface_hub writes to: appends to the part.

    If the server does not send the rest but begins at the front, huggingface_hub empties the file first. Then the bytes
    go to a fresh file instead, since what comes may be a login page and the part worth hours.
    """

    def __init__(self, part: Path, fresh: Path, size_bytes: int) -> None:
        """`size_bytes` is the whole file's size."""
        self._part = part
        self._fresh = fresh
        self._size_bytes = size_bytes
        self._begun_again = False
        self._done = False
        fresh.unlink(missing_ok=True)  # left by a download that was killed
        self._file: BinaryIO = part.open("ab")

    def __enter__(self) -> "Arrivals":
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()
        if not self._done:
            self._fresh.unlink(missing_ok=True)

    def write(self, data: bytes) -> int:
        """Append. Raises NotTheFile for a web page, and for more bytes than the file has."""
        before = self._file.tell()
        if before == 0 and data.removeprefix(BYTE_ORDER_MARK).lstrip().startswith(b"<"):
            raise NotTheFile("a web page came instead: is there a login for this network?")
        if before + len(data) > self._size_bytes:
            raise NotTheFile("more came than the file has")
        return self._file.write(data)

    def tell(self) -> int:
        """Return the length so far."""
        return self._file.tell()

    def seek(self, place: int) -> int:
        """Only ever followed by `truncate`."""
        return place

    def truncate(self) -> None:
        """The server begins at the front."""
        self._file.close()
        self._begun_again = True
        self._file = self._fresh.open("wb")

    def give_up(self, keep_bytes: int | None = None) -> None:
        """Keep the part; only its first `keep_bytes` if what came at last is wrong."""
        self._file.close()
        if keep_bytes is not None and not self._begun_again:  # otherwise what came at last is in the fresh file
            os.truncate(self._part, keep_bytes)

    def done(self) -> Path:
        """Return the file that has all."""
        self._file.close()
        self._done = True
        return self._fresh if self._begun_again else self._part
