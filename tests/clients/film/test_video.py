"""Videos: every frame, the cues as chapters, and failures that leave nothing behind."""

import errno
import os
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from longtake.clients.film import video as video_module
from longtake.clients.film.video import VideoError, VideoWriter, plain
from tests.clients.film.pictures import mark, picture


def test_a_video_holds_every_frame_the_cues_as_chapters_and_the_prompts_as_subtitles(tmp_path: Path) -> None:
    path = tmp_path / "out" / "take.mp4"
    with VideoWriter(path, fps=16, title="A Fox", least_height=96) as writer:
        for tick in range(40):
            writer.write(picture(10 + tick * 5))
        writer.mark([mark(0, "", "start"), mark(12, "night"), mark(32, "a {typed} prompt", "prompt"), mark(99, "late")])
    with av.open(str(path)) as container:
        chapters = [
            (
                chapter["start"] * chapter["time_base"],
                chapter["end"] * chapter["time_base"],
                chapter["metadata"]["title"],
            )
            for chapter in container.chapters()
        ]
        assert chapters == [(0, 0.75, "start"), (0.75, 2, "night"), (2, 2.5, "a {typed} prompt")]
        assert container.metadata["title"] == "A Fox"
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (160, 96, 16)
        means = [frame.to_ndarray(format="rgb24").mean() for frame in container.decode(video=0)]
    assert np.abs(np.array(means) - (10 + np.arange(40) * 5)).max() < 4
    with av.open(str(path)) as container:
        texts = [
            (packet.pts * packet.time_base, bytes(packet)[2:].decode())
            for packet in container.demux(subtitles=0)
            if packet.size
        ]
    assert texts == [(0, "a fox,"), (0.75, "a fox, night"), (2, "a fox, a (typed) prompt")]
    assert [file.name for file in path.parent.iterdir()] == ["take.mp4"]


@pytest.mark.parametrize("size", [(480, 832), (97, 33), (1, 1)])
def test_any_size_can_be_written(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "take.mp4"
    with VideoWriter(path, fps=16) as writer:
        writer.write(picture(80, size))
    with av.open(str(path)) as container:
        frame = next(container.decode(video=0))
        assert frame.height % 2 == 0
        assert frame.height >= 480


def test_a_live_film_is_made_with_less_work_and_shows_the_same(tmp_path: Path) -> None:
    made = {}
    for live in (False, True):
        path = tmp_path / f"{live}.mp4"
        with VideoWriter(path, fps=16, live=live) as video:
            for tick in range(8):
                video.write(picture(tick))
        with av.open(str(path)) as film:
            made[live] = np.stack([frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]).astype(float)
        settings = path.read_bytes()
        assert (b" subme=1 " in settings) == live, "superfast, as x264 writes down its settings"
        assert not live or b" threads=1 " in settings
    assert made[True].shape == made[False].shape
    assert np.abs(made[True] - made[False]).mean() < 2


def test_a_video_that_fails_leaves_nothing_behind(tmp_path: Path) -> None:
    def write() -> None:
        with VideoWriter(tmp_path / "take.mp4", fps=16) as writer:
            writer.write(picture(1))
            raise KeyError("in the middle")

    with pytest.raises(KeyError):
        write()
    assert list(tmp_path.iterdir()) == []


def test_a_video_without_frames_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(VideoError, match="no frame"), VideoWriter(tmp_path / "take.mp4", fps=16):
        pass


@pytest.mark.skipif(sys.platform != "linux", reason="names are text there")
def test_names_that_are_no_text(tmp_path: Path) -> None:
    odd = os.fsdecode(b"bad\xff")
    for path in (tmp_path / f"{odd}.mp4", tmp_path / odd / "x.mp4"):
        with VideoWriter(path, fps=16) as video:
            video.write(np.zeros((48, 48, 3), np.uint8))
        assert path.stat().st_size > 0


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(VideoError, match="cannot be written"),
        VideoWriter(tmp_path / "file" / "x.mp4", fps=16) as writer,
    ):
        writer.write(picture(1))


def test_a_name_that_is_a_folder_leaves_nothing_behind(tmp_path: Path) -> None:
    (tmp_path / "x.mp4").mkdir()
    with (
        pytest.raises(VideoError, match=r"x\.mp4 cannot be written"),
        VideoWriter(tmp_path / "x.mp4", fps=16) as writer,
    ):
        writer.write(picture(1))
    assert [path.name for path in tmp_path.iterdir()] == ["x.mp4"]


class FullDisk:
    """A container on a disk that is full."""

    def __init__(self, container: Any) -> None:
        self._container = container

    def mux(self, packets: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    def close(self) -> None:
        self._container.close()
        raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_is_one_line_and_leaves_nothing_behind(tmp_path: Path) -> None:
    def write() -> None:
        with VideoWriter(tmp_path / "x.mp4", fps=16) as writer:
            writer.write(picture(1))
            writer._container = FullDisk(writer._container)
            for number in range(40):
                writer.write(picture(number))

    with pytest.raises(VideoError, match=r"x\.mp4 cannot be written: No space left on device$"):
        write()
    assert list(tmp_path.iterdir()) == []


def test_without_pyav_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(video_module.__dict__["__builtins__"], "__import__", _refuse_av)
    with pytest.raises(VideoError, match=r"longtake\[host\]"):
        VideoWriter(tmp_path / "take.mp4", fps=16)


_real_import = __import__


def _refuse_av(name: str, *args: Any, **fields: Any) -> Any:
    if name.split(".")[0] == "av":
        raise ImportError(name)
    return _real_import(name, *args, **fields)


def test_subtitles_hold_no_commands() -> None:
    assert plain("a {b}\\n\n c") == "a (b)/n c"
