"""Frames on their way to the clients: raw rows as the generator made them, and one JPEG for all subscribers.

The JPEG is made by `longtake.runtime.server.jpeg_thread`, beside the loop.
"""

from longtake.protocol.messages import Encoding


class OutgoingFrame:
    """One frame of a take. `pixels` is `[height, width, 3] uint8 RGB` as bytes, a view into its block's buffer."""

    __slots__ = ("block", "cue", "height", "jpeg", "jpeg_asked", "pixels", "tick", "width")

    def __init__(self, *, pixels: memoryview, height: int, width: int, tick: int, block: int, cue: int) -> None:
        if pixels.nbytes != height * width * 3:
            raise ValueError(f"{pixels.nbytes} bytes are no frame of {height} x {width} x 3")
        self.pixels = pixels
        self.height = height
        self.width = width
        self.tick = tick
        self.block = block
        self.cue = cue
        self.jpeg: bytes | None = None
        """set by the JPEG thread; empty if compression failed"""
        self.jpeg_asked = False
        """the JPEG is finished or on its way"""

    def encoded(self, encoding: Encoding) -> memoryview | bytes | None:
        """Return the frame in that encoding, or None until its JPEG is finished."""
        return self.pixels if encoding == "raw" else self.jpeg

    def is_encoding(self, encoding: Encoding) -> bool:
        """Whether the frame is being encoded now."""
        return encoding == "jpeg" and self.jpeg_asked and self.jpeg is None


def frames_of_block(
    buffer: memoryview, *, frames: int, height: int, width: int, first_tick: int, block: int, cue: int
) -> list[OutgoingFrame]:
    """Cut a block's buffer `[frames, height, width, 3] uint8` into frames without copying."""
    size = height * width * 3
    if buffer.nbytes != frames * size:
        raise ValueError(f"a block of {frames} x {height} x {width} x 3 has {frames * size} bytes, not {buffer.nbytes}")
    flat = buffer.cast("B")
    return [
        OutgoingFrame(
            pixels=flat[i * size : (i + 1) * size],
            height=height,
            width=width,
            tick=first_tick + i,
            block=block,
            cue=cue,
        )
        for i in range(frames)
    ]
