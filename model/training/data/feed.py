"""Where fresh clips come from: drawn on the spot, or by worker processes through a bounded queue of shared memory.

Nothing is stored. A feed of workers draws ahead until its slots are full and then waits, so memory stays bounded and
no clip is lost.
"""

import contextlib
import logging
import multiprocessing
import os
import queue
import shutil
import signal
import tempfile
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from longtake.model.errors import TrainingError
from longtake.model.training.data.drawing import DrawingConfig, Illustrator

log = logging.getLogger(__name__)

POLL_S: Final = 0.5
"""how often a process that waits looks whether those it waits for are still there"""
SLOTS_A_WORKER: Final = 4
_SHARED: Final = Path("/dev/shm")


class Feed(Protocol):
    """Clips one after the other."""

    def ready(self, most: int) -> list[NDArray[np.void]]:
        """Return copies of the clips that are there, `most` at most; see `DrawingConfig.record`."""

    def wait(self) -> NDArray[np.void]:
        """Return the next clip; raises TrainingError if none can come."""

    def close(self) -> None:
        """Stop drawing."""


class InlineFeed:
    """Draws clips where they are asked for.

    Args:
        config: what to draw.
        first: index of the first clip.
        step: from clip to clip, so that several ranks share out the indices.
    """

    def __init__(self, config: DrawingConfig, first: int = 0, step: int = 1) -> None:
        self._illustrator = Illustrator(config)
        self._record = config.record()
        self.next, self._step = first, step

    def ready(self, most: int) -> list[NDArray[np.void]]:
        """Draw one clip."""
        return [self.wait()] if most else []

    def wait(self) -> NDArray[np.void]:
        """Draw a clip."""
        clip = np.zeros((), self._record)
        self._illustrator.draw(self.next, clip)
        self.next += self._step
        return clip

    def close(self) -> None:
        """Nothing is held."""


class WorkerFeed:
    """Worker processes that draw clips into slots of shared memory.

    With one worker clips come in the order of their indices.

    Args:
        config: what to draw.
        workers: how many processes.
        first: index of the first clip.
        step: from clip to clip, so that several ranks share out the indices.
        slots: clips that can wait; None for four a worker, or as many as fit.
    """

    def __init__(
        self, config: DrawingConfig, workers: int, first: int = 0, step: int = 1, slots: int | None = None
    ) -> None:
        if workers < 1:
            raise TrainingError(f"a feed needs at least one worker, not {workers}")
        self._record = config.record()
        self._path, count = _room(self._record.itemsize, workers, slots)
        self._slots = np.memmap(self._path, self._record, "w+", shape=(count,))
        context = multiprocessing.get_context("spawn")
        self._free: multiprocessing.Queue[int] = context.Queue()
        self._drawn: multiprocessing.Queue[int] = context.Queue()
        for slot in range(count):
            self._free.put(slot)
        self.workers: list[SpawnProcess] = []
        for worker in range(workers):
            indices = (first + worker * step, workers * step)
            arguments = (config, self._path, count, *indices, self._free, self._drawn, os.getpid())
            process = context.Process(target=_work, args=arguments, daemon=True, name=f"illustrator {worker}")
            process.start()
            self.workers.append(process)
        log.info("%d processes draw clips into %d slots", workers, count)

    def ready(self, most: int) -> list[NDArray[np.void]]:
        """Return copies of the clips that are there, `most` at most, without waiting."""
        self._check()
        clips: list[NDArray[np.void]] = []
        while len(clips) < most:
            try:
                clips.append(self._take(self._drawn.get_nowait()))
            except queue.Empty:
                break
        return clips

    def wait(self) -> NDArray[np.void]:
        """Return the next clip; raises TrainingError if a worker has died."""
        while True:
            try:
                return self._take(self._drawn.get(timeout=POLL_S))
            except queue.Empty:
                self._check()

    def _take(self, slot: int) -> NDArray[np.void]:
        clip = np.array(self._slots[slot])
        self._free.put(slot)
        return clip

    def _check(self) -> None:
        """Raise TrainingError if a worker has died: a lock it held may never be freed, so the others are no help."""
        for process in self.workers:
            if process.exitcode is not None:
                raise TrainingError(
                    f"{process.name} has ended with status {process.exitcode}; its reason is above, if it had one. "
                    "Run the command again: training goes on from its checkpoint"
                )

    def close(self) -> None:
        """End the workers and give the memory back."""
        for process in self.workers:
            process.terminate()
        for process in self.workers:
            process.join()
        for each in (self._free, self._drawn):
            each.cancel_join_thread()
            each.close()
        self._path.unlink(missing_ok=True)


def _room(clip_bytes: int, workers: int, slots: int | None) -> tuple[Path, int]:
    """Choose a file for the slots, in memory if it has the room, and how many there are."""
    wanted = slots or SLOTS_A_WORKER * workers
    for folder in (_SHARED, Path(tempfile.gettempdir())):
        if not folder.is_dir():
            continue
        fits = shutil.disk_usage(folder).free // 2 // clip_bytes
        if fits >= min(wanted, workers + 2):
            handle, name = tempfile.mkstemp(prefix="longtake-clips-", dir=folder)
            os.close(handle)
            return Path(name), min(wanted, fits)
    raise TrainingError(
        f"neither {_SHARED} nor {tempfile.gettempdir()} has room for {workers + 2} clips of {clip_bytes >> 20} MB; "
        "free some, or use fewer --workers"
    )


def _work(
    config: DrawingConfig,
    path: Path,
    slots: int,
    first: int,
    step: int,
    free: "multiprocessing.Queue[int]",
    drawn: "multiprocessing.Queue[int]",
    parent: int,
) -> None:
    """Draw every `step`th clip from `first` on, in a worker, for as long as the parent lives."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the parent, which ends its workers
    torch.set_num_threads(1)
    shared = np.memmap(path, config.record(), "r+", shape=(slots,))
    illustrator = Illustrator(config)
    index = first
    while os.getppid() == parent:
        try:
            slot = free.get(timeout=POLL_S)
        except queue.Empty:
            continue
        illustrator.draw(index, shared[slot : slot + 1].reshape(()))
        drawn.put(slot)
        index += step
    drawn.cancel_join_thread()
    with contextlib.suppress(OSError):
        path.unlink(missing_ok=True)  # the parent was killed and could not
