"""Compresses frames to JPEG on a thread of its own, so that a large frame does not delay the server's loop.

    ask(frame)              # each frame is compressed once, however many subscribers want it
    if socket is readable and drain_finished(): look at `frame.jpeg` again

The encoder runs without Python's lock. There is one thread, so frames are finished in the order of `ask`.
"""

import io
import logging
import queue
import threading
from collections.abc import Callable

import zmq
from PIL import Image

from longtake.protocol import sockets
from longtake.runtime.world.outgoing_frame import OutgoingFrame

log = logging.getLogger(__name__)

JPEG_QUALITY = 85


def encode_jpeg(pixels: memoryview | bytes, height: int, width: int, quality: int = JPEG_QUALITY) -> bytes:
    """Return a JPEG file of `[height, width, 3] uint8 RGB` rows."""
    image = Image.frombytes("RGB", (width, height), bytes(pixels), "raw", "RGB")
    out = io.BytesIO()
    image.save(out, format="JPEG", quality=quality)
    return out.getvalue()


class JpegThread:
    """One thread, started with the first frame. Only the loop's thread calls `ask`, `drain_finished` and `close`."""

    def __init__(
        self,
        context: sockets.Context,
        encode: Callable[[memoryview, int, int], bytes] = encode_jpeg,
    ) -> None:
        """`encode(pixels, height, width)` returns the JPEG file."""
        self.socket = sockets.pair(context)
        """readable when a frame is finished"""
        self._context = context
        self._encode = encode
        self._endpoint = f"inproc://longtake-jpeg-{id(self)}"
        self._asked: queue.SimpleQueue[OutgoingFrame | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def ask(self, frame: OutgoingFrame) -> None:
        """Compress the frame soon, unless that was asked before."""
        if frame.jpeg_asked:
            return
        frame.jpeg_asked = True
        if self._thread is None:
            self.socket.bind(self._endpoint)
            self._thread = threading.Thread(target=self._run, name="server-jpeg", daemon=True)
            self._thread.start()
        self._asked.put(frame)

    def drain_finished(self) -> bool:
        """Empty the socket; return whether frames were finished since the last call."""
        some = False
        while True:
            try:
                self.socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return some
            some = True

    def close(self) -> None:
        """End the thread. Frames that it has not begun are not compressed."""
        if self._thread is not None:
            while not self._asked.empty():
                self._asked.get()
            self._asked.put(None)
            self._thread.join()
        self.socket.close()

    def _run(self) -> None:
        tell = sockets.pair(self._context)
        try:
            tell.connect(self._endpoint)
            while (frame := self._asked.get()) is not None:
                try:
                    frame.jpeg = self._encode(frame.pixels, frame.height, frame.width)
                except Exception:  # subscribers must not wait for it for ever
                    log.exception("a frame could not be compressed and is left out")
                    frame.jpeg = b""
                tell.send(b"")
        except zmq.ContextTerminated:
            log.debug("the context was closed before the thread")
        finally:
            tell.close()
