"""Whose frames lie in the one ring that recordings read and write.

A CUDA graph belongs to the addresses that it was recorded with, so worlds that share graphs take turns in one ring. A
world that comes changes places with the one that is there: their contents and their buffers are exchanged, layer by
layer, so a world needs no second ring and every world can also be run without graphs, wherever its frames lie. On an
H100 the exchange moves about 20 GB for longlive-1.3b, which at 3.35 TB/s is 6 ms; with one world there is none.

    seat = Seat(ring)
    cache = seat.open(new_ring)      # of a world: in the ring if nobody is there
    seat.take(cache)                 # before its recordings are replayed
    seat.leave(cache)                # when the world closes
"""

from collections.abc import Callable
from weakref import WeakSet, ref

import torch

from longtake.model.cache.ring import RingCache


class Seat:
    """See the module.

    Args:
        home: the ring that was recorded with; nobody else's.

    Attributes:
        exchanges: how often worlds changed places.
    """

    def __init__(self, home: RingCache) -> None:
        self._home = home
        self._seated: ref[RingCache] | None = None
        self._worlds: WeakSet[RingCache] = WeakSet()
        self.exchanges = 0

    @property
    def in_use(self) -> bool:
        """True if a world is open."""
        return bool(self._worlds)

    def open(self, new: Callable[[], RingCache]) -> RingCache:
        """Return an empty cache for a world.

        Args:
            new: makes a cache with buffers of its own; called only if somebody is in the ring.
        """
        cache = new() if self._occupant() is not None else self._sit(self._home.sharing())
        self._worlds.add(cache)
        return cache

    def take(self, cache: RingCache) -> None:
        """Bring a world's frames into the ring, if they are not there."""
        occupant = self._occupant()
        if occupant is cache:
            return
        if occupant is None:
            for name, buffer in self._home.buffers().items():
                buffer.copy_(cache.buffers()[name])
            cache.use(self._home.buffers())
        else:
            exchange(occupant, cache)
            self.exchanges += 1
        self._sit(cache)

    def leave(self, cache: RingCache) -> None:
        """Forget a world that closes; what it left in the ring does not matter."""
        self._worlds.discard(cache)
        if self._occupant() is cache:
            self._seated = None

    def _occupant(self) -> RingCache | None:
        return None if self._seated is None else self._seated()

    def _sit(self, cache: RingCache) -> RingCache:
        self._seated = ref(cache)
        return cache


def exchange(one: RingCache, other: RingCache) -> None:
    """Exchange the buffers of two caches of the same sizes, and what is in them: each keeps its own frames."""
    mine, theirs = one.buffers(), other.buffers()
    for name, buffer in mine.items():
        held = torch.empty_like(buffer[0])
        for first, second in zip(buffer, theirs[name], strict=True):
            held.copy_(first)
            first.copy_(second)
            second.copy_(held)
    one.use(theirs)
    other.use(mine)
