"""`longtake render --take`: a take file becomes a film."""

import os
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest

from longtake.runtime.cli.film_take import unshown_ticks
from longtake.runtime.takes.file import Take, TakeBlock, TakeCut, TakeEnd, TakeHeader, TakeReset, encode_record
from tests.clients.player.test_view import MODEL

Call = Callable[..., Any]


@pytest.mark.parametrize("name", ["again.mp4", "again.gif"])
def test_a_take_is_filmed_with_its_cues(
    call: Call, fake: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.chdir(tmp_path)
    cue = ("--cue", "1s", "the same fox at dawn")
    record = ("--record", "fox.take", "--output", "fox.mp4", "--no-contact-sheet")
    made = call("render", "a fox", "--seconds", "2", *cue, *record, *fake)
    assert made.code == 0, made.err
    assert "1.0 s  the same fox at dawn  (shown as: fox, at dawn" in made.out
    filmed = call("render", "--take", "fox.take", "--output", name, *fake)
    assert filmed.code == 0, filmed.err
    told = re.fullmatch(rf"{name}  (\d+) frames, [0-9.]+ s, from fox\.take\n", filmed.out)
    assert told
    assert int(told[1]) >= 32  # an offline world runs a little further than its film
    with av.open(name) as container:
        assert sum(1 for _ in container.decode(video=0)) == int(told[1])
        titles = [chapter["metadata"]["title"] for chapter in container.chapters()]
    assert titles == (["start", "the same fox at dawn"] if name.endswith("mp4") else [])


def test_the_pictures_of_other_weights_may_have_another_size(
    call: Call, fake: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    made = call("render", "a fox", "--seconds", "1", "--record", "fox.take", "-o", "fox.mp4", *fake)
    assert made.code == 0, made.err
    monkeypatch.setenv("LONGTAKE_FAKE", '{"height": 24, "width": 36}')
    filmed = call("render", "--take", "fox.take", "-o", "again.mp4", *fake)
    assert filmed.code == 0, filmed.err
    assert "height was 12, is 24" in filmed.out
    with av.open("again.mp4") as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (720, 480)


def test_a_film_too_long_for_its_format_is_refused_before_its_frames_are_made(
    call: Call, fake: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("LONGTAKE_FAKE", '{"step_s": 0.2}')  # 151 s of film would take two minutes
    begun = time.monotonic()
    assert "at most 150 s; write an MP4" in call("render", "a fox", "--seconds", "151", "-o", "fox.gif", *fake).line
    header = TakeHeader(format=1, world="w", model=MODEL, seed=1, prompt="a fox")
    blocks = [TakeBlock(block=number, digest="00" * 16) for number in range(601)]
    Path("long.take").write_bytes(b"".join(encode_record(record) for record in [header, *blocks]))
    assert "at most 150 s; write an MP4" in call("render", "--take", "long.take", "-o", "fox.webp", *fake).line
    assert time.monotonic() - begun < 60
    assert [path.name for path in tmp_path.iterdir()] == ["long.take"]


def test_a_pipe_is_no_film_of_ours(call: Call, fake: list[str], tmp_path: Path) -> None:
    for name in ("fox.mp4", "fox.png"):
        os.mkfifo(tmp_path / name)
        called = call("render", "a fox", "-o", tmp_path / "fox.mp4", *fake)
        assert (called.code, f"{name} exists and is no film of ours" in called.line) == (2, True)
        (tmp_path / name).unlink()


def test_what_does_not_go_with_a_take(call: Call, tmp_path: Path) -> None:
    assert "no such take" in call("render", "--take", tmp_path / "none.take").line
    assert "give no prompt" in call("render", "a fox", "--take", tmp_path / "none.take").line
    assert "has to end in .mp4, .gif, .webp" in call("render", "a fox", "--output", "a.avi").line


def test_what_was_never_shown_is_left_out() -> None:
    records = [TakeCut(tick=8, to_tick=12), TakeReset(generation=1, seed=2, prompt="p"), TakeEnd(tick=20)]
    header = TakeHeader(format=1, world="w", model=MODEL, seed=1, prompt="a fox")
    unshown = unshown_ticks(Take(header=header, records=records, torn=False))
    assert list(unshown[0][0]) == [8, 9, 10, 11]
    assert 19 not in unshown[1][0]
    assert 20 in unshown[1][0]
