"""Animated GIF and WebP films."""

from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

from longtake.clients.film import animation
from longtake.clients.film.animation import AnimationWriter, film_writer
from longtake.clients.film.signature import is_ours
from longtake.clients.film.video import VideoError, VideoWriter
from tests.clients.film.pictures import mark, picture


@pytest.mark.parametrize("name", ["take.gif", "take.webp", "take.GIF"])
def test_every_frame_at_its_rate(tmp_path: Path, name: str) -> None:
    path = tmp_path / "new" / name
    with film_writer(path, fps=16) as writer:
        for tick in range(32):
            writer.write(picture(10 + 7 * tick))
        writer.mark([mark(0, "", "start")])
    with Image.open(path) as shown:
        times = []
        for number in range(shown.n_frames):
            shown.seek(number)
            shown.load()
            times.append(shown.info["duration"])
        assert shown.n_frames == 32
        assert shown.info["loop"] == 0
    assert is_ours(path)
    assert sum(times) == pytest.approx(2000, abs=10)
    assert [file.name for file in path.parent.iterdir()] == [name]


def test_failures_leave_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "take.gif"
    with pytest.raises(VideoError, match="no frame"), AnimationWriter(path, fps=16):
        pass
    monkeypatch.setattr(animation, "MAX_FRAMES", 2)
    writer = AnimationWriter(path, fps=1)
    for _ in range(2):
        writer.write(picture(1))
    with pytest.raises(VideoError, match="write an MP4"):
        writer.write(picture(1))
    with suppress(KeyError), AnimationWriter(path, fps=16) as failing:
        failing.write(picture(1))
        raise KeyError
    assert list(tmp_path.iterdir()) == []


def test_the_suffix_chooses(tmp_path: Path) -> None:
    assert isinstance(film_writer(tmp_path / "a.mp4", fps=16), VideoWriter)
    with pytest.raises(VideoError, match=r"\.mp4, \.gif, \.webp"):
        film_writer(tmp_path / "a.avi", fps=16)
