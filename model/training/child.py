"""A process that a command hands its work to. Imports no torch."""

import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import FrameType


def run_module(arguments: Sequence[str]) -> int:
    """Run a module of `longtake.model.training` in a process of its own, and return its exit status.

    Signals that ask it to stop are handed on, so that it writes its checkpoint before it ends.
    """
    module, *rest = arguments
    process = subprocess.Popen([sys.executable, "-m", f"longtake.model.training.{module}", *rest])
    with _handing_on(process):
        return process.wait()


@contextmanager
def _handing_on(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    def hand_on(number: int, _: FrameType | None) -> None:
        process.send_signal(number)

    kept = {number: signal.signal(number, hand_on) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield
    finally:
        for number, handler in kept.items():
            signal.signal(number, handler)
