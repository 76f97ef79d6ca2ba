"""Finds installed fonts for characters that a program's own font lacks, such as Chinese ones.

Reads the character tables of font files itself, so that the player and the contact sheets choose alike on every system.
"""

import bisect
import functools
import logging
import os
import shutil
import struct
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

log = logging.getLogger(__name__)

SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")
PREFERRED = ("notosanscjk", "sourcehansans", "notosans", "wqy", "dejavusans", "droidsans", "unifont")
"""parts of file names, best first: plain upright faces with many characters"""
STYLES = ("bold", "italic", "oblique", "black", "thin", "light", "serif", "mono", "condensed")
"""parts of the names of files that are only used if no plain one has the character"""
FC_LIST_S = 5.0
"""how long fontconfig may take: it reads all fonts when it runs for the first time"""
MAX_TABLE_BYTES = 4 * 1024 * 1024
NO_GLYPHS = ("lastresort", "adobeblank")
"""fonts that have a place for every character and draw none"""

Ranges = Sequence[tuple[int, int]]
"""(first, last) code points, rising"""
Face = Path | None
"""a font's file; None is the program's own font"""


class Fonts:
    """The fonts of a machine, read when they are first needed."""

    def __init__(self, folders: Sequence[Path] | None = None) -> None:
        """Without folders those of the system, and what fontconfig lists."""
        self._folders = font_folders() if folders is None else folders
        self._asks = folders is None
        self._files: list[Path] | None = None
        self._found: dict[str, Path | None] = {}
        self._used: list[Path] = []
        self._broken: set[Path] = set()

    def with_character(self, character: str) -> Path | None:
        """Return a font that has the character, one that is used already if possible; None if there is none."""
        if character not in self._found:
            known = [file for file in [*self._used, *self._all()] if file not in self._broken]
            found = next((file for file in known if has(coverage(file), character)), None)
            self._found[character] = found
            if found is not None and found not in self._used:
                log.debug("%s draws U+%04X", found, ord(character))
                self._used.append(found)
        return self._found[character]

    def give_up(self, file: Path) -> None:
        """Use a font no more, because it cannot be opened."""
        self._broken.add(file)
        self._used = [used for used in self._used if used != file]
        self._found = {character: found for character, found in self._found.items() if found != file}

    def runs(self, text: str, has_own: Callable[[str], bool]) -> list[tuple[Face, str]]:
        """Split `text` into runs of one font each. `has_own` says whether the program's own font has a character."""
        runs: list[tuple[Face, str]] = []
        for character in text:
            face: Face = None
            if runs and (character.isspace() or _clings(character)):
                face = runs[-1][0]
            elif not has_own(character):
                face = self.with_character(character)
            if runs and runs[-1][0] == face:
                runs[-1] = (face, runs[-1][1] + character)
            else:
                runs.append((face, character))
        return runs

    def _all(self) -> list[Path]:
        if self._files is None:
            found = {file for folder in self._folders for file in _files(folder)}
            self._files = sorted(found | (_listed() if self._asks else set()), key=_rank)
        return self._files


def font_folders() -> list[Path]:
    """Return where this system keeps fonts."""
    home = Path.home()
    if sys.platform == "win32":
        return [Path("C:/Windows/Fonts"), home / "AppData/Local/Microsoft/Windows/Fonts"]
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"]
    return [home / ".local/share/fonts", home / ".fonts", Path("/usr/local/share/fonts"), Path("/usr/share/fonts")]


def _listed() -> set[Path]:
    """Return the fonts that fontconfig knows, wherever they are; none where there is no fontconfig."""
    program = shutil.which("fc-list")
    if program is None:
        return set()
    try:
        asked = subprocess.run([program, "--format", "%{file}\n"], capture_output=True, timeout=FC_LIST_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        log.debug("fontconfig lists no fonts: %s", error)
        return set()
    return {Path(os.fsdecode(line)) for line in asked.stdout.splitlines() if _is_font(Path(os.fsdecode(line)))}


def has(ranges: Ranges, character: str) -> bool:
    """Whether a character is in the ranges."""
    code = ord(character)
    place = bisect.bisect_right(ranges, (code, sys.maxunicode + 1)) - 1
    return place >= 0 and ranges[place][0] <= code <= ranges[place][1]


@functools.lru_cache(maxsize=4096)
def coverage(path: Path) -> Ranges:
    """Return the characters of a font file (the first font of a collection); nothing if it cannot be read."""
    try:
        with path.open("rb") as file:
            return _merged(_characters(file))
    except (OSError, struct.error) as error:
        log.debug("%s: no character table: %s", path, error)
        return ()


def _files(folder: Path) -> Iterator[Path]:
    yield from (file for file in folder.rglob("*") if _is_font(file))


def _is_font(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and not any(part in file.name.lower() for part in NO_GLYPHS)


def _rank(file: Path) -> tuple[int, int, str]:
    name = file.name.lower().replace("-", "").replace("_", "")
    known = next((place for place, part in enumerate(PREFERRED) if part in name), len(PREFERRED))
    return (sum(style in name for style in STYLES), known, str(file))


def _clings(character: str) -> bool:
    """Whether a character belongs to the one before it."""
    return not character.isascii() and unicodedata.category(character) in ("Mn", "Me", "Mc", "Cf")


def _characters(file: BinaryIO) -> Iterator[tuple[int, int]]:
    """Yield ranges of the `cmap` table (OpenType specification, chapter cmap); formats 4 and 12 are what fonts use."""
    start = 0
    if file.read(4) == b"ttcf":
        file.seek(12)
        (start,) = struct.unpack(">I", file.read(4))
    file.seek(start + 4)
    (tables,) = struct.unpack(">H", file.read(2))
    file.seek(start + 12)
    for _ in range(tables):
        tag, _, offset, length = struct.unpack(">4sIII", file.read(16))
        if tag == b"cmap":
            file.seek(offset)
            yield from _of_table(file.read(min(length, MAX_TABLE_BYTES)))
            return


def _of_table(table: bytes) -> Iterator[tuple[int, int]]:
    (count,) = struct.unpack_from(">H", table, 2)
    for index in range(count):
        platform, encoding, offset = struct.unpack_from(">HHI", table, 4 + 8 * index)
        if platform != 0 and (platform, encoding) not in ((3, 1), (3, 10)):
            continue  # not Unicode
        (form,) = struct.unpack_from(">H", table, offset)
        if form == 4:
            (double,) = struct.unpack_from(">H", table, offset + 6)
            ends = struct.unpack_from(f">{double // 2}H", table, offset + 14)
            starts = struct.unpack_from(f">{double // 2}H", table, offset + 16 + double)
            yield from ((low, high) for low, high in zip(starts, ends, strict=True) if low <= high and low != 0xFFFF)
        elif form == 12:
            (groups,) = struct.unpack_from(">I", table, offset + 12)
            for group in range(groups):
                low, high, _ = struct.unpack_from(">III", table, offset + 16 + 12 * group)
                yield low, high


def _merged(ranges: Iterator[tuple[int, int]]) -> Ranges:
    """Return overlapping ranges as few that rise."""
    merged: list[tuple[int, int]] = []
    for low, high in sorted(ranges):
        if merged and low <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(merged[-1][1], high))
        else:
            merged.append((low, high))
    return tuple(merged)
