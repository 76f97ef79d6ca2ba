import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from longtake.model.errors import TrainingError
from longtake.model.training.data.clips import Clips, ClipsConfig, make_clip, plan, write_clips

CONFIG = ClipsConfig(clips=3, frames=40, seed=9)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clips")
    write_clips(path, CONFIG)
    return path


def test_what_was_written_is_read_back(folder: Path) -> None:
    clips = Clips(folder)
    assert clips.frames.shape == (3, 40, 96, 160, 3)
    for index in range(3):
        todo, clip = make_clip(CONFIG, index)
        assert clips.scenes[index] == todo.scene
        assert clips.switches[index] == todo.switch
        assert np.array_equal(clips.frames[index], clip.frames)
        assert np.array_equal(clips.frames[index, 4:8], clip.frames[4:8])
        assert np.array_equal(clips.boxes[index], clip.boxes)
        assert np.array_equal(clips.actions[index], todo.actions)
        assert np.array_equal(clips.velocity[index], clip.velocity)
    assert clips.actions.any()


def test_a_full_folder_is_not_written_over(folder: Path) -> None:
    with pytest.raises(TrainingError, match="finished clips"):
        write_clips(folder, CONFIG)


def test_an_unfinished_folder_is_not_read(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no finished clips"):
        Clips(tmp_path)


def test_clips_from_before_actions_are_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "old")
    (tmp_path / "old" / "actions.npy").unlink()
    with pytest.raises(TrainingError, match="before clips had actions; render it again"):
        Clips(tmp_path / "old")


@pytest.mark.parametrize(
    ("name", "content"),
    [("done.json", "{}"), ("done.json", "["), ("labels.jsonl", "x\n"), ("boxes.npy", "x"), ("frames_000.npy", "")],
)
def test_a_damaged_folder_is_refused(name: str, content: str, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "damaged")
    (tmp_path / "damaged" / name).write_text(content)
    with pytest.raises(TrainingError, match="damaged; render it again"):
        Clips(tmp_path / "damaged")


def test_several_shards_read_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr("longtake.model.training.data.clips._SHARD_BYTES", 4_000_000)
    write_clips(tmp_path, CONFIG)
    assert len(list(tmp_path.glob("frames_*.npy"))) == 2
    several, one = Clips(tmp_path), Clips(folder)
    assert len(several) == 3
    assert all(np.array_equal(several.frames[index], one.frames[index]) for index in (0, 1, -1))
    with pytest.raises(IndexError):
        several.frames[3]


def test_switches_are_aligned_leave_room_and_come_in_most_clips() -> None:
    config = ClipsConfig(clips=400, frames=80, seed=1)
    plans = [plan(config, index) for index in range(400)]
    frames = [each.switch.frame for each in plans if each.switch]
    assert 0.62 < len(frames) / 400 < 0.78
    assert all(frame % 4 == 0 and 12 <= frame <= 56 for frame in frames)
    assert {12, 56} <= set(frames)
    assert all(each.switch.scene != each.scene for each in plans if each.switch)


def test_the_scene_at_a_frame_turns_at_the_switch(folder: Path) -> None:
    clips = Clips(folder)
    index = next(number for number, switch in enumerate(clips.switches) if switch)
    switch = clips.switches[index]
    assert switch is not None
    assert clips.scene_at(index, switch.frame - 1) == clips.scenes[index]
    assert clips.scene_at(index, switch.frame) == switch.scene


def test_labels_are_plain_lines(folder: Path) -> None:
    rows = [json.loads(line) for line in (folder / "labels.jsonl").read_text().splitlines()]
    assert [row["index"] for row in rows] == [0, 1, 2]
    assert all((row["switch"] == -1) == (row["scene"] == row["after"]) for row in rows)


def test_too_short_a_clip_is_refused() -> None:
    with pytest.raises(ValueError, match="36 frames to fit a switch"):
        ClipsConfig(clips=1, frames=20)


def test_drawing_imports_no_torch() -> None:
    """Each of its workers would."""
    code = "import sys, longtake.model.training.data.clips; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
