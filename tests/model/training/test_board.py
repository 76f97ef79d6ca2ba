"""TensorBoard's files."""

import sys
from pathlib import Path

import pytest

from longtake.model.errors import BackendError
from longtake.model.training.pace import open_board


def test_figures_are_written(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    board = open_board(tmp_path)
    for step in (1, 2):
        board.add_scalar("generator_loss", 0.5 / step, step)
    board.flush()
    events = EventAccumulator(str(tmp_path))
    events.Reload()
    assert [(event.step, event.value) for event in events.Scalars("generator_loss")] == [(1, 0.5), (2, 0.25)]


def test_without_tensorboard_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(BackendError, match=r"needs TensorBoard: pip install 'longtake\[tensorboard\]'"):
        open_board(tmp_path)
