"""Makes the JPEGs beside the server's loop, so that a large picture costs no deadline.

    ask(picture)            # at most once for each picture, whoever and however many want it
    if socket is readable and drain_finished(): look at `picture.jpeg` again

The encoder works outside of Python's lock; one thread, so pictures are finished in the order they were asked for.
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
    """One thread, started with the first picture. `ask`, `drain_finished` and `close` belong to the loop's thread."""

    def __init__(
        self,
        context: sockets.Context,
        encode: Callable[[memoryview, int, int], bytes] = encode_jpeg,
    ) -> None:
        """`encode(pixels, height, width)` makes the file."""
        self.socket = sockets.pair(context)
        """readable when a picture is finished"""
        self._context = context
        self._encode = encode
        self._endpoint = f"inproc://longtake-jpeg-{id(self)}"
        self._asked: queue.SimpleQueue[OutgoingFrame | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def ask(self, picture: OutgoingFrame) -> None:
        """Have the picture's JPEG made, if nobody has asked before."""
        if picture.jpeg_asked:
            return
        picture.jpeg_asked = True
        if self._thread is None:
            self.socket.bind(self._endpoint)
            self._thread = threading.Thread(target=self._run, name="server-jpeg", daemon=True)
            self._thread.start()
        self._asked.put(picture)

    def drain_finished(self) -> bool:
        """Whether pictures were finished since the last call."""
        some = False
        while True:
            try:
                self.socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return some
            some = True

    def close(self) -> None:
        """End the thread; what it has not begun is left unmade."""
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
            while (picture := self._asked.get()) is not None:
                try:
                    picture.jpeg = self._encode(picture.pixels, picture.height, picture.width)
                except Exception:  # whoever waits for it must not wait for ever
                    log.exception("a picture could not be compressed and is left out")
                    picture.jpeg = b""
                tell.send(b"")
        except zmq.ContextTerminated:
            log.debug("the context was closed before the thread")
        finally:
            tell.close()
