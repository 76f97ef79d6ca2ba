"""`longtake render --take`: a take file becomes a film."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import pytest

from longtake.runtime.cli.film_take import unshown_ticks
from longtake.runtime.takes.file import Take, TakeCut, TakeEnd, TakeHeader, TakeReset
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
