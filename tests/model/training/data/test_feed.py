"""Where fresh clips come from."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from longtake.model.errors import TrainingError
from longtake.model.training.data.drawing import DrawingConfig
from longtake.model.training.data.feed import InlineFeed, WorkerFeed


@pytest.fixture
def feed(short: DrawingConfig) -> Iterator[WorkerFeed]:
    made = WorkerFeed(short, 1, slots=2)
    yield made
    made.close()


def test_a_worker_draws_the_same_clips_in_the_same_order(feed: WorkerFeed, short: DrawingConfig) -> None:
    inline = InlineFeed(short)
    for _ in range(3):
        theirs, mine = inline.wait(), feed.wait()
        for name in short.record().names or ():
            assert np.array_equal(mine[name], theirs[name]), name


def test_ranks_share_out_the_clips(short: DrawingConfig) -> None:
    second = InlineFeed(short, first=1, step=2)
    assert [int(second.wait()["index"]) for _ in range(2)] == [1, 3]
    assert second.ready(0) == []


def test_a_feed_is_bounded_and_loses_nothing(feed: WorkerFeed) -> None:
    deadline = time.monotonic() + 60
    while feed._drawn.qsize() < 2 and time.monotonic() < deadline:
        time.sleep(0.05)
    time.sleep(0.3)
    assert feed._drawn.qsize() == 2, "both slots are full, and the worker waits"
    assert [int(clip["index"]) for clip in feed.ready(8)] == [0, 1]
    assert int(feed.wait()["index"]) == 2


def drain(feed: WorkerFeed) -> None:
    """Take clips for ever."""
    while True:
        feed.wait()


def test_the_death_of_a_worker_is_one_line(feed: WorkerFeed) -> None:
    feed.wait()
    pid = feed.workers[0].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    feed.workers[0].join()
    with pytest.raises(TrainingError, match="illustrator 0 has ended with status -9") as caught:
        drain(feed)
    assert "\n" not in str(caught.value)
    with pytest.raises(TrainingError, match="illustrator 0"):
        feed.ready(1)


def test_closing_leaves_no_process_and_no_file(short: DrawingConfig) -> None:
    feed = WorkerFeed(short, 1, slots=2)
    path = feed._path
    feed.close()
    assert not path.exists()
    assert all(process.exitcode is not None for process in feed.workers)


def test_slots_that_fit_nowhere_are_refused(short: DrawingConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        free = 1_000_000

    monkeypatch.setattr("shutil.disk_usage", lambda folder: Full)
    before = set(Path("/dev/shm").glob("longtake-clips-*"))
    with pytest.raises(TrainingError, match="has room for 3 clips"):
        WorkerFeed(short, 1)
    assert set(Path("/dev/shm").glob("longtake-clips-*")) == before
