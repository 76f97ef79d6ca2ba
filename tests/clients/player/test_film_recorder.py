"""Films taken while a world is played: every frame, cues in their places, nothing overwritten."""

from pathlib import Path

from longtake.clients.film.whole_file import free_name
from longtake.clients.player.film_recorder import FilmTimeline
from longtake.protocol.messages import Applied, Frame


def frame(generation: int, tick: int, **more: bool) -> Frame:
    return Frame(
        world="w",
        generation=generation,
        number=0,
        tick=tick,
        block=0,
        cue=0,
        height=2,
        width=2,
        encoding="raw",
        **more,
    )


def mark(generation: int, cue: int, tick: int) -> Applied:
    return Applied(
        world="w", generation=generation, cue=cue, block=0, tick=tick, kind="event", label=f"c{cue}", prompt="p"
    )


def test_each_frame_is_filmed_once_without_held_and_stale_ones():
    timeline = FilmTimeline()
    frames = [frame(0, 5), frame(0, 5, held=True), frame(0, 6), frame(0, 6), frame(0, 7, stale=True), frame(0, 7)]
    assert [timeline.take(header) for header in frames] == [True, False, True, False, False, True]
    assert timeline.frames == 3


def test_marks_are_counted_in_the_film_also_after_the_take_starts_again():
    timeline = FilmTimeline()
    for header in [frame(0, 100), frame(0, 101), frame(0, 102), frame(1, 0), frame(1, 1)]:
        timeline.take(header)
    marks = [mark(0, 1, 10), mark(0, 2, 60), mark(0, 3, 102), mark(1, 0, 0), mark(1, 4, 1), mark(2, 5, 0)]
    assert [(one.label, one.tick) for one in timeline.marks(marks)] == [("c2", 0), ("c3", 2), ("c0", 3), ("c4", 4)]


def test_nothing_that_exists_is_overwritten(tmp_path: Path):
    path = tmp_path / "fox.mp4"
    assert free_name(path) == path
    path.touch()
    assert free_name(path).name == "fox-1.mp4"
    (tmp_path / "fox-1.mp4").touch()
    assert free_name(path).name == "fox-2.mp4"
