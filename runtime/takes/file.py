r"""The take file, format 1: the record of a world, from which `longtake replay` makes the same frames again.

Text, one record a line: eight hexadecimal digits of CRC-32 of the JSON that follows after one space. The first
record is the header. Lines are only ever appended, each by a single write, so that a process killed at any
moment loses at most the record it was writing: a torn last line is left out when reading, damage anywhere else
is an error.

    1c291ca3 {"type":"take_header","format":1,"world":"w1","seed":7,"prompt":"a red balloon", ...}
    9a6f0e55 {"type":"take_cue","cue":1,"block":12,"tick":48,"kind":"event","label":"night","prompt":"..."}
    77d0c1f2 {"type":"take_block","block":12,"digest":"3f...","prompt":"a red balloon, at night"}
"""

import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

from longtake.protocol.conditioning import Conditioning, new_fields, newly_carried
from longtake.protocol.errors import LongtakeError
from longtake.protocol.fields import MAX_NUMBER
from longtake.protocol.messages import CueKind, ModelInfo, Script

FORMAT = 1
MAX_SIZE = 1 << 16
"""of a picture's sides, a block's frames and a frame rate"""


class TakeError(LongtakeError, ValueError):
    """A take file cannot be read or written; `str()` says which and why."""

    def __init__(self, message: str) -> None:
        super().__init__("recording", message)


def _tag(name: str) -> str:
    return "".join("_" + c.lower() if c.isupper() else c for c in name).lstrip("_")


class TakeRecord(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", tag=_tag, omit_defaults=True):
    """Base of every record; unknown fields are ignored when reading."""


class TakeHeader(TakeRecord, frozen=True, kw_only=True):
    """First record: everything needed to begin the same take again."""

    format: int
    world: str
    model: ModelInfo
    seed: int
    prompt: str
    """the rendered prompt the take began with"""
    actions: tuple[float, ...] = ()
    """what was held when it began, in the order of the model's axes"""
    script: Script = Script()
    mode: str = "live"
    generation: int = 0
    threads: int = 0
    """of the generator"""
    options: dict[str, str] = {}
    """how the model was loaded, as texts by name (`--option`); what is not there was left at its default"""
    versions: dict[str, str] = {}
    """of Longtake, the protocol and what the generator runs on"""


class TakeCue(TakeRecord, frozen=True, kw_only=True):
    """A cue took effect at this block, in the order of the records."""

    cue: int
    block: int
    tick: int
    kind: CueKind
    label: str
    prompt: str


class TakeBlock(TakeRecord, frozen=True, kw_only=True):
    """A block was made. `prompt` and `actions` are there if its conditioning differs from the block before."""

    block: int
    digest: str
    """blake2b-128 of `[frames, height, width, 3] uint8`, hex"""
    prompt: str | None = None
    actions: tuple[float, ...] = ()
    via: str | None = None
    late: bool = False
    """both as in `longtake.protocol.conditioning.Conditioning`"""


class TakeCut(TakeRecord, frozen=True, kw_only=True):
    """A cut-in cue dropped the unshown frames from `tick` up to, not including, `to_tick`."""

    tick: int
    to_tick: int


class TakeRestore(TakeRecord, frozen=True, kw_only=True):
    """The generator was lost: the take went on from a snapshot taken before block `source`.

    The blocks from `source` up to `block` were made a second time, without being shown, to get there.
    """

    block: int
    source: int
    kind: Literal["compact", "exact", "open"]
    """open: begun again from the seed, there being no snapshot yet"""
    snapshot: str = ""
    """blake2b-128 of the snapshot, hex"""


class TakeReset(TakeRecord, frozen=True, kw_only=True):
    """The world was reset: block 0 of a new generation comes next."""

    generation: int
    seed: int
    prompt: str
    actions: tuple[float, ...] = ()


class TakeEnd(TakeRecord, frozen=True, kw_only=True):
    """The recording was ended in order, after that many ticks."""

    tick: int


AnyRecord: TypeAlias = TakeHeader | TakeCue | TakeBlock | TakeCut | TakeRestore | TakeReset | TakeEnd
_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyRecord] = msgspec.json.Decoder(AnyRecord)


def encode_record(record: TakeRecord) -> bytes:
    """Return a record's line."""
    data = _encoder.encode(record)
    return b"%08x %s\n" % (zlib.crc32(data), data)


def decode_record(line: bytes) -> AnyRecord:
    """Return the record of a line without its newline. Raises `TakeError`."""
    check, space, data = line.partition(b" ")
    if not space or len(check) != 8 or check != b"%08x" % zlib.crc32(data):
        raise TakeError("the checksum does not fit")
    try:
        return _decoder.decode(data)
    except msgspec.DecodeError as error:
        raise TakeError(f"the record is not understood: {error}") from None


class TakeWriter:
    """Appends records to a new file. Every record is one unbuffered write, so a killed process loses none before."""

    def __init__(self, path: Path) -> None:
        """Create the file; raises `OSError` (`FileExistsError`: a take is never overwritten)."""
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(
            path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0), 0o644
        )

    def write(self, *records: TakeRecord) -> None:
        """Append records; raises `OSError`, after which the file ends in at most one torn line."""
        data = b"".join(encode_record(record) for record in records)
        while data:
            data = data[os.write(self._file, data) :]

    def close(self) -> None:
        """Flush to the disk and close; raises `OSError`."""
        file, self._file = self._file, -1
        if file < 0:
            return
        try:
            os.fsync(file)
        finally:
            os.close(file)


class Take:
    """A take file that was read: its header, its other records, and whether its last line was torn."""

    def __init__(self, *, header: TakeHeader, records: list[AnyRecord], torn: bool) -> None:
        self.header = header
        self.records = records
        self.torn = torn

    @property
    def blocks(self) -> list[TakeBlock]:
        """The block records in order, over all generations."""
        return [record for record in self.records if isinstance(record, TakeBlock)]

    @property
    def cues(self) -> list[TakeCue]:
        """The cue records in order, over all generations."""
        return [record for record in self.records if isinstance(record, TakeCue)]

    @property
    def ended(self) -> bool:
        """Whether the recording was ended in order."""
        return bool(self.records) and isinstance(self.records[-1], TakeEnd)


def read_take(path: Path) -> Take:
    """Read a take file. Raises `TakeError` for anything but a torn last line, `OSError` if it cannot be opened."""
    # Mail and version control may have given the text a byte-order mark, or the line ends of Windows.
    data = path.read_bytes().removeprefix(b"\xef\xbb\xbf").replace(b"\r\n", b"\n")
    complete, _, rest = data.rpartition(b"\n")
    lines = complete.split(b"\n") if complete else []
    records: list[AnyRecord] = []
    torn = bool(rest)
    for number, line in enumerate(lines, start=1):
        try:
            records.append(decode_record(line))
        except TakeError as error:
            if number == len(lines) and not rest:
                torn = True
                break
            if number == 1:
                break
            raise TakeError(f"{path}, line {number}: {error.message}") from None
    if not records or not isinstance(records[0], TakeHeader):
        raise TakeError(f"{path} is no take file: it does not begin with a take_header record")
    if records[0].format != FORMAT:
        raise TakeError(f"{path} has format {records[0].format}; this version reads format {FORMAT}")
    for number, problem in _problems(records):
        raise TakeError(f"{path}, line {number}: {problem}")
    return Take(header=records[0], records=records[1:], torn=torn)


def _problems(records: list[AnyRecord]) -> Iterator[tuple[int, str]]:
    """Yield what no recording says, such as a block out of order, with the number of its line."""
    made = 0
    for number, record in enumerate(records, start=1):
        if isinstance(record, TakeHeader) and number > 1:
            yield number, "a second take_header: this is more than one take"
        if isinstance(record, TakeHeader | TakeReset):
            made = 0
            if not 0 <= record.seed <= MAX_NUMBER:
                yield number, f"{record.seed} is no seed"
        if isinstance(record, TakeHeader):
            model = record.model
            sizes = (model.height, model.width, model.block_frames, model.first_block_frames)
            if min(*sizes, model.fps) < 1 or max(*sizes, model.fps) > MAX_SIZE:
                yield number, "the model has impossible sizes or an impossible frame rate"
        elif isinstance(record, TakeBlock):
            if record.block != made:
                yield number, f"block {record.block} follows {made} blocks; a line is missing, or there twice"
            made += 1
        elif isinstance(record, TakeRestore) and not 0 <= record.source <= record.block <= made:
            yield number, f"it goes back to block {record.source} and on from {record.block}; there are {made} blocks"


class TakeLog:
    """The records of a world's current generation, kept so that a recording begun late still starts at block 0.

    A block costs 16 bytes here (its digest), so a day of a world is a few megabytes.
    """

    def __init__(self, header: TakeHeader) -> None:
        self.header = header
        self._digests = bytearray()
        self._conditionings: dict[int, Conditioning] = {}
        self._others: list[tuple[int, TakeRecord]] = []
        """records that are no blocks, with the number of blocks made before them"""

    def add(self, record: TakeRecord) -> None:
        """Keep a record. Blocks come in order."""
        if isinstance(record, TakeBlock):
            if record.block != self._blocks:
                raise ValueError(f"block {record.block} is logged after {self._blocks} blocks")
            self._digests += bytes.fromhex(record.digest)
            conditioning = newly_carried(record)
            if conditioning is not None:
                self._conditionings[record.block] = conditioning
        else:
            self._others.append((self._blocks, record))

    def records(self) -> Iterator[TakeRecord]:
        """Yield the header and everything since, in order."""
        yield self.header
        position = 0
        for block in range(self._blocks + 1):
            while position < len(self._others) and self._others[position][0] <= block:
                yield self._others[position][1]
                position += 1
            if block < self._blocks:
                digest = self._digests[16 * block : 16 * block + 16].hex()
                yield TakeBlock(block=block, digest=digest, **new_fields(self._conditionings.get(block)))

    @property
    def _blocks(self) -> int:
        return len(self._digests) // 16
