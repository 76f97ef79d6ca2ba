"""Messages to bytes and back, with the limits of protocol 1.1 section 3 enforced on everything that comes in.

`decode` cleans every text (`longtake.protocol.text`). It raises nothing but `ProtocolError`, whatever the bytes are; a
receiver answers it with `errors.error_message(error)` and goes on.
"""

import functools
import re
import typing
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar, cast, runtime_checkable

import msgpack
import msgspec

from longtake.protocol.errors import ProtocolError
from longtake.protocol.fields import MAX_NUMBER
from longtake.protocol.messages import FromClient, FromClientFrames, Message
from longtake.protocol.text import clean

MAX_MESSAGE_BYTES = 256 * 1024
"""the largest header that is decoded"""
MAX_REQUEST_BYTES = 128 * 1024
"""the largest message that a server decodes; smaller, so that `joined` can carry the script of any `open`"""
MAX_SOCKET_BYTES = 1024 * 1024
"""ZMQ_MAXMSGSIZE of every socket that receives headers only; ZeroMQ drops the connection beyond it"""
MAX_PICTURE_BYTES = 64 * 1024 * 1024
"""ZMQ_MAXMSGSIZE of a socket that receives pictures"""
MAX_DEPTH = 8
MAX_ITEMS = 1024
"""entries of one array or map"""


def _map(pairs: list[tuple[Any, Any]]) -> dict[Any, Any]:
    """Return a map; of a key that is there twice nobody could say which one counts. Raises ValueError, TypeError."""
    made = dict(pairs)
    if len(made) < len(pairs):
        raise ValueError("a key is there twice in one map")
    return made


_LIMITS: dict[str, Any] = {
    "object_pairs_hook": _map,
    "raw": False,
    "strict_map_key": True,
    "max_str_len": MAX_MESSAGE_BYTES,
    "max_bin_len": MAX_MESSAGE_BYTES,
    "max_array_len": MAX_ITEMS,
    "max_map_len": MAX_ITEMS,
    "max_ext_len": 0,
}
_SCALARS = (str, bytes, bool, int, float, type(None))
_NAME_REASON = r"str matching regex '\\A[A-Za-z0-9._-]+\\Z'"


@runtime_checkable
class _Scalar(Protocol):
    """A number of numpy or torch, or an array of one."""

    def item(self) -> object:
        """Return the plain number."""
        ...


def _plain_number(value: object) -> int | float | bool:
    """Return the plain number for one of numpy's or torch's; for the encoder. Raises TypeError for anything else."""
    try:
        item = value.item() if isinstance(value, _Scalar) else None
    except (TypeError, ValueError, RuntimeError):  # an array of several
        item = None
    if isinstance(item, bool | int | float):
        return item
    raise TypeError(f"a {type(value).__name__} cannot be sent; give a plain number or text, or a list or dict of them")


_encoder = msgspec.msgpack.Encoder(enc_hook=_plain_number)

M = TypeVar("M", bound=Message)


def encode(message: Message) -> bytes:
    """Return the MessagePack map of `message` without checking its fields; see `encode_checked`."""
    data = _encoder.encode(message)
    if len(data) > MAX_MESSAGE_BYTES:
        raise _too_large(len(data), MAX_MESSAGE_BYTES)
    return data


def encode_checked(message: Message) -> bytes:
    """Return the MessagePack map of `message`, its fields checked as the receiver will. Raises `ProtocolError`."""
    try:
        data = encode(message)
    except UnicodeEncodeError:
        raise ProtocolError("invalid", f"{_tag(type(message))}: a text holds a surrogate, half a character") from None
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise ProtocolError("invalid", f"{_tag(type(message))}: {error}") from None
    decode(data, type(message))
    return data


def decode(data: bytes | memoryview, union: Any) -> Any:
    """Return the message in `data`, an instance of a member of `union` (a class or a union of classes).

    Raises `ProtocolError` with code `too_large`, `malformed`, `unknown_type` or `invalid`, and with the
    `request` number of the bad message if that can be read.
    """
    rules = _rules(union)
    try:
        fields = _unpack(data, rules.max_bytes)
    except ProtocolError as error:
        error.request = peek_request(data)
        raise
    number = _request_number(fields.get("request"))
    tag = fields.get("type")
    if not isinstance(tag, str):
        raise ProtocolError("malformed", "the map has no text `type`; put the message's name there", request=number)
    kind = rules.kinds.get(tag)
    if kind is None:
        known = ", ".join(sorted(rules.kinds))
        text = f"no message of type {tag[:40]!r} is accepted here; accepted: {known}"
        raise ProtocolError("unknown_type", text, request=number)
    try:
        return msgspec.convert(fields, kind, strict=True)
    except (msgspec.ValidationError, OverflowError) as error:
        raise ProtocolError("invalid", _explain(tag, fields, str(error)), request=number) from None


def decode_parts(parts: Sequence[bytes], union: Any) -> Any:
    """Return the message in the only part of a ZeroMQ message; as `decode`."""
    if len(parts) != 1:
        number = peek_request(parts[0]) if parts else None
        raise ProtocolError("malformed", f"a message to the server has one part, not {len(parts)}", request=number)
    return decode(parts[0], union)


def peek_request(data: bytes | memoryview) -> int | None:
    """Return the `request` number of bytes that are no valid message, if it can be read; never raises."""
    unpacker = msgpack.Unpacker(strict_map_key=False, raw=True, max_buffer_size=MAX_REQUEST_BYTES)
    try:
        unpacker.feed(data[:MAX_REQUEST_BYTES])
        for _ in range(min(unpacker.read_map_header(), MAX_ITEMS)):
            if unpacker.unpack() == b"request":
                return _request_number(unpacker.unpack())
            unpacker.skip()
    except (ValueError, TypeError, RecursionError, MemoryError, msgpack.UnpackException):
        return None  # cut short, or no map at all
    return None


def decode_as(data: bytes | memoryview, kind: type[M]) -> M:
    """Return the message in `data` if it is of this one class; as `decode`."""
    return cast(M, decode(data, kind))


def _request_number(value: object) -> int | None:
    return value if type(value) is int and 0 <= value <= MAX_NUMBER else None


def _unpack(data: bytes | memoryview, max_bytes: int) -> dict[str, Any]:
    if len(data) > max_bytes:
        raise _too_large(len(data), max_bytes)
    try:
        value = msgpack.unpackb(data, **_LIMITS)
    # TypeError: a map as key; RecursionError and MemoryError: hostile nesting or counts
    except (ValueError, TypeError, RecursionError, MemoryError, msgpack.UnpackException) as error:
        reason = str(error) or type(error).__name__
        raise ProtocolError("malformed", f"not one MessagePack value within the limits: {reason[:120]}") from None
    if not isinstance(value, dict):
        raise ProtocolError("malformed", f"a message is a MessagePack map, not {type(value).__name__}")
    return cast(dict[str, Any], _cleaned(value))


def _cleaned(value: Any, depth: int = 1) -> Any:
    """Return `value` with every text cleaned. Refuse deep nesting, keys that are not text, and extension types."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, dict | list):
        if depth > MAX_DEPTH:
            raise ProtocolError("malformed", f"maps and arrays are nested more than {MAX_DEPTH} deep")
        if isinstance(value, list):
            return [_cleaned(item, depth + 1) for item in value]
        if not all(isinstance(key, str) for key in value):
            raise ProtocolError("malformed", "every key of a map is text")
        cleaned = {clean(key): _cleaned(item, depth + 1) for key, item in value.items()}
        if len(cleaned) < len(value):
            raise ProtocolError("malformed", "two keys of a map differ only in characters that cannot be seen")
        return cleaned
    if not isinstance(value, _SCALARS):
        raise ProtocolError("malformed", "extension types are not accepted")
    return value


def _too_large(length: int, limit: int) -> ProtocolError:
    return ProtocolError("too_large", f"a message of {length} bytes is over the limit of {limit}")


def _tag(kind: type[Message]) -> str:
    return str(kind.__struct_config__.tag)


@dataclass(frozen=True, kw_only=True)
class _Rules:
    """What `decode` needs to know of a union."""

    kinds: dict[str, type[Message]]
    max_bytes: int


@functools.lru_cache(maxsize=64)
def _rules(union: Any) -> _Rules:
    members = set(typing.get_args(union) or (union,))
    from_client = members <= {*typing.get_args(FromClient), *typing.get_args(FromClientFrames)}
    limit = MAX_REQUEST_BYTES if from_client else MAX_MESSAGE_BYTES
    return _Rules(kinds={_tag(member): member for member in members}, max_bytes=limit)


def _explain(tag: str, fields: dict[str, Any], reason: str) -> str:
    """`prompt.text: expected str of length <= 2000 (it has 100000)` from msgspec's reason."""
    reason, _, path = reason.replace("`", "").replace(" - at key in $", " - at $").partition(" - at $")
    place = path[:80]
    if re.fullmatch(r"\.\w+", place) and "length" in reason:
        value = fields.get(place[1:])
        if value and isinstance(value, str | list | dict):
            reason = f"{reason} (it has {len(value)})"
    if reason == "Expected str of length >= 1":
        reason = "needs at least one visible character"
    reason = reason.replace(_NAME_REASON, "1 to 64 letters, digits, dots, dashes and underscores")
    return f"{tag}{place}: {reason[:1].lower()}{reason[1:]}"[:300]
