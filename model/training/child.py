"""Processes that do a command's work, and the signals that are handed on to them. Imports no torch."""

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType


def run_module(arguments: Sequence[str], *, interrupts: bool = True) -> int:
    """Run a module of `longtake.model.training` in a process of its own, and return its exit status.

    It is asked to stop when this process is, so that it writes its checkpoint before it ends.

    Args:
        arguments: the module and what it is given.
        interrupts: whether Ctrl-C is handed on too; a process of the same terminal has got it already.
    """
    module, *rest = arguments
    process = subprocess.Popen([sys.executable, "-m", f"longtake.model.training.{module}", *rest])

    def hand_on(number: int) -> None:
        if interrupts or number != signal.SIGINT:
            process.send_signal(number)

    with handing_on(hand_on):
        return process.wait()


@contextmanager
def handing_on(send: Callable[[int], None]) -> Iterator[None]:
    """During the block, call `send` with each signal that asks this process to stop, instead of stopping."""

    def handle(number: int, _: FrameType | None) -> None:
        send(number)

    kept = {number: signal.signal(number, handle) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
