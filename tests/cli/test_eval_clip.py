import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from longtake.runtime.cli import eval_clip
from longtake.runtime.cli.eval_clip import Account, averages, score
from longtake.runtime.cli.usage import UsageError
from tests.model.evaluation.test_clip_score import Colours

Call = Callable[..., Any]
FPS = 16


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """A folder with one film of 8 s that is red for 4 s and then blue, and its account."""
    av = pytest.importorskip("av")
    folder = tmp_path / "story"
    folder.mkdir()
    with av.open(str(folder / "a-0.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=FPS)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for tick in range(8 * FPS):
            picture = np.zeros((48, 64, 3), np.uint8)
            picture[:, tick % 32 :, 0 if tick < 4 * FPS else 2] = 220
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    film = {"prompt": "red", "frames": 8 * FPS, "fps": FPS, "cues": [{"tick": 4 * FPS, "second": 4, "prompt": "blue"}]}
    (tmp_path / "story.json").write_text(json.dumps({"format": 1, "films": {"a-0.mp4": film, "gone-0.mp4": film}}))
    return folder


def test_a_film_is_scored_by_segment_and_against_its_fifth_second(
    call: Call, films: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("longtake.model.evaluation.clip_score.load_clip", lambda folder, device: Colours())
    called = call("eval", "clip", films, "--clip", films, "--json")
    assert called.code == 0, called.err
    body = json.loads(called.out)
    assert [film["film"] for film in body["films"]] == ["a-0.mp4"]
    red, blue = body["films"][0]["scores"]
    assert red > 99
    assert blue > 99
    drift = body["films"][0]["drift"]
    assert [window["seconds"] for window in drift] == [5, 8]
    assert drift[0]["colour"] == 0
    assert drift[1]["colour"] > 10
    called = call("eval", "clip", films, "--clip", films)
    assert "at the end against second 5" in called.out


def test_a_film_that_is_shorter_than_its_account_is_one_line(films: Path) -> None:
    account = Account(prompt="red", frames=900, fps=FPS, cues=[eval_clip.Cue(tick=800, prompt="blue")])
    with pytest.raises(UsageError, match="shorter than its account says"):
        score(films / "a-0.mp4", account, Colours(), 4)
    (films / "b-0.mp4").write_bytes(b"no film")
    with pytest.raises(UsageError, match="cannot be read as a film"):
        score(films / "b-0.mp4", account, Colours(), 4)


def test_bad_folders_are_one_line(call: Call, films: Path, tmp_path: Path) -> None:
    assert "longtake eval vbench" in call("eval", "clip", tmp_path / "none", "--clip", films).line
    assert "config.json is missing" in call("eval", "clip", films, "--clip", films).line
    (tmp_path / "story.json").write_text("[]")
    assert "story.json cannot be read" in call("eval", "clip", films, "--clip", films).line


def test_averages_are_by_segment() -> None:
    first, second = averages([[1.0, 5.0], [3.0]])
    assert (first[0], first[2]) == (2.0, 2)
    assert (second[0], second[2]) == (5.0, 1)
