import sys

import pytest

from longtake.model.ops import allocator
from longtake.model.ops.allocator import keep_freed_memory


class Library:
    """A C library that notes what its allocator is told."""

    def __init__(self, answer: int = 1) -> None:
        self.told: list[tuple[int, int]] = []
        self.answer = answer

    gnu_get_libc_version = None

    def mallopt(self, name: int, value: int) -> int:
        self.told.append((name, value))
        return self.answer


def test_glibc_is_told_to_keep_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    library = Library()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: library)
    assert keep_freed_memory()
    assert dict(library.told) == {-1: allocator.KEPT_BYTES, -3: allocator.LARGE_BYTES}
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: Library(answer=0))
    assert not keep_freed_memory()


def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: pytest.fail("it has no such thing"))
    assert not keep_freed_memory()
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(allocator.ctypes, "CDLL", lambda name: object())
    assert not keep_freed_memory(), "a C library other than glibc"
