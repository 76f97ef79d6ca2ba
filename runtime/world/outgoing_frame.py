"""Pictures on their way out: raw rows as they came from the generator, or a JPEG made once for everybody.

The JPEG is made by `longtake.runtime.server.jpeg_thread`, beside the loop.
"""

from longtake.protocol.messages import Encoding


class OutgoingFrame:
    """One frame of a take. `pixels` is `[height, width, 3] uint8 RGB` as bytes, a view into its block's buffer."""

    __slots__ = ("block", "cue", "height", "jpeg", "jpeg_asked", "pixels", "tick", "width")

    def __init__(self, *, pixels: memoryview, height: int, width: int, tick: int, block: int, cue: int) -> None:
        if pixels.nbytes != height * width * 3:
            raise ValueError(f"{pixels.nbytes} bytes are no picture of {height} x {width} x 3")
        self.pixels = pixels
        self.height = height
        self.width = width
        self.tick = tick
        self.block = block
        self.cue = cue
        self.jpeg: bytes | None = None
        """set by the thread that makes it; empty if it cannot be made"""
        self.jpeg_asked = False
        """it is made, or is going to be"""

    def encoded(self, encoding: Encoding) -> memoryview | bytes | None:
        """Return the picture in that encoding; None while its JPEG is not made."""
        return self.pixels if encoding == "raw" else self.jpeg

    def is_encoding(self, encoding: Encoding) -> bool:
        """Whether the picture is being encoded just now."""
        return encoding == "jpeg" and self.jpeg_asked and self.jpeg is None


def frames_of_block(
    buffer: memoryview, *, frames: int, height: int, width: int, first_tick: int, block: int, cue: int
) -> list[OutgoingFrame]:
    """Cut a block's buffer `[frames, height, width, 3] uint8` into its pictures without copying."""
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
