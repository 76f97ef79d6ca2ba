"""The frames a client has received and not taken yet, and the credit that it grants. No sockets, no threads.

The server may send only as many frames as it has credit for. With `every`, credit plus buffered frames never exceed
the capacity: if the reader stops, the server stops, and no frame is lost. With `latest`, a new frame replaces the one
before and its credit is returned at once: a slow network drops frames at the server, a slow reader drops them here.
"""

from collections import deque

from longtake.protocol.messages import Delivery, Frame

LATEST_CREDIT = 2
"""one frame on the way, one being sent"""
EVERY_CAPACITY = 64
"""four seconds at 16 fps"""

Item = tuple[Frame, bytes | memoryview]


class FrameBuffer:
    """Received frames, oldest first. `put`, `take` and `drop_before` return the credit to grant."""

    def __init__(self, delivery: Delivery, capacity: int = EVERY_CAPACITY) -> None:
        if not 1 <= capacity <= 1024:
            raise ValueError(f"a buffer holds 1 to 1024 frames, not {capacity}")
        self.delivery = delivery
        self.capacity = capacity if delivery == "every" else LATEST_CREDIT
        self.outstanding = 0
        """frames the server may still send"""
        self.missed = 0
        """frames published during an `every` subscription that never arrived"""
        self._items: deque[Item] = deque()
        self._last_number: int | None = None
        """of this subscription"""
        self._newest = -1
        """number of the newest frame that ever arrived"""
        self._owed = 0

    def __len__(self) -> int:
        return len(self._items)

    def initial_credit(self) -> int:
        """Return the credit to subscribe with, at first or after a reconnect: all free capacity."""
        self._owed = 0
        self._last_number = None
        self.outstanding = self.capacity - (len(self._items) if self.delivery == "every" else 0)
        return self.outstanding

    def put(self, header: Frame, payload: bytes | memoryview) -> int:
        """Keep a frame that arrived, unless it is here already: one that may be lost is asked for again."""
        self.outstanding -= 1
        if self.delivery == "every" and header.number <= self._newest:
            self._owed += 1
            return self._grant()
        self._newest = header.number
        if self.delivery == "every" and self._last_number is not None:
            self.missed += max(0, header.number - self._last_number - 1)
        self._last_number = header.number
        if self.delivery == "latest":
            self._items.clear()
            self._owed += 1
        self._items.append((header, payload))
        return self._grant()

    def take(self) -> tuple[Item | None, int]:
        """Return the oldest frame, or None, and the credit to grant."""
        if not self._items:
            return None, 0
        item = self._items.popleft()
        if self.delivery == "every":
            self._owed += 1
        return item, self._grant()

    def drop_before(self, generation: int) -> int:
        """Drop the frames of older generations (the world was reset)."""
        kept = deque(item for item in self._items if item[0].generation >= generation)
        if self.delivery == "every":
            self._owed += len(self._items) - len(kept)
        self._items = kept
        return self._grant()

    def _grant(self) -> int:
        """Grant credit in batches of a quarter of the capacity, because credit messages are not free."""
        if self._owed < max(1, self.capacity // 4):
            return 0
        granted, self._owed = self._owed, 0
        self.outstanding += granted
        return granted
