"""Tells the C library's allocator to keep what a block frees, because the next block asks for the same again.

Glibc gives large buffers back to the system at once. The system hands them out again page by page and clears each at
the first touch. With attention scores of a few megabytes, that took a quarter of a recache.
"""

import ctypes
import sys

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
KEPT_BYTES = 256 * 2**20
"""freed memory at the end of the heap that is not given back"""
LARGE_BYTES = 64 * 2**20
"""buffers from this size on go back to the system as before: they are few, and take long to compute"""


def keep_freed_memory() -> bool:
    """Keep freed memory for the process's next buffers; return False if the C library cannot be told (glibc can)."""
    if not sys.platform.startswith("linux"):
        return False
    library = ctypes.CDLL(None)
    if not hasattr(library, "gnu_get_libc_version"):
        return False
    settings = ((_M_MMAP_THRESHOLD, LARGE_BYTES), (_M_TRIM_THRESHOLD, KEPT_BYTES))
    return all(library.mallopt(name, value) == 1 for name, value in settings)
