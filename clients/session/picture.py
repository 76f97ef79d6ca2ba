"""A picture as a client sees it: the frame's header and its pixels."""

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from longtake.protocol.errors import ProtocolError
from longtake.protocol.messages import Frame

MAX_PIXELS = 2**24
"""height x width of the largest picture a client decodes"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Picture:
    """One frame of a world. `pixels`: `[H, W, 3] uint8 RGB`, C order; the receiver may write into it."""

    header: Frame
    pixels: npt.NDArray[np.uint8]


def decode_picture(header: Frame, payload: bytes | memoryview) -> Picture:
    """Return the picture of a header and its binary part. Raises `ProtocolError` if they disagree."""
    height, width = header.height, header.width
    if not (height > 0 and width > 0 and height * width <= MAX_PIXELS):
        raise ProtocolError("invalid", f"frame {header.number} claims to be {height} x {width} pixels")
    pixels = _from_jpeg(header, payload) if header.encoding == "jpeg" else _from_raw(header, payload)
    return Picture(header=header, pixels=pixels)


def _from_raw(header: Frame, payload: bytes | memoryview) -> npt.NDArray[np.uint8]:
    flat = np.frombuffer(payload, np.uint8)
    expected = header.height * header.width * 3
    if flat.size != expected:
        raise ProtocolError("invalid", f"frame {header.number} has {flat.size} bytes of pixels, not {expected}")
    return flat.reshape(header.height, header.width, 3).copy()


def _from_jpeg(header: Frame, payload: bytes | memoryview) -> npt.NDArray[np.uint8]:
    try:
        # the size is checked before anything is decompressed
        with Image.open(io.BytesIO(bytes(payload)), formats=("JPEG",)) as image:
            if image.size != (header.width, header.height):
                raise ProtocolError(
                    "invalid", f"frame {header.number} is a JPEG of {image.size}, not its header's size"
                )
            return np.array(image.convert("RGB"), np.uint8)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ProtocolError("invalid", f"frame {header.number} is no readable JPEG: {error}") from None
