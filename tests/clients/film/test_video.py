"""Videos, contact sheets and filming a world, with real files and the real server."""

import errno
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from longtake.clients.film import video as video_module
from longtake.clients.film.contact_sheet import Sample, SheetError, contact_sheet, in_force, sample_ticks, save
from longtake.clients.film.headless import film, render, since
from longtake.clients.film.video import VideoError, VideoWriter, plain
from longtake.clients.session import Session, World
from longtake.protocol import messages as m
from tests.clients.real_server import RealServer, real_server
from tests.reach import reach

SCRIPT = m.Script(
    name="test",
    template="a fox {time}",
    slots={"time": m.Slot(default="day")},
    events={"night": m.EventDef(set={"time": "night"})},
)


def mark(tick: int, label: str, kind: Any = "event") -> m.Applied:
    return m.Applied(
        world="w", generation=0, cue=tick, block=tick // 4, tick=tick, kind=kind, label=label, prompt=f"a fox, {label}"
    )


def picture(value: int, size: tuple[int, int] = (96, 160)) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.full((*size, 3), value, np.uint8)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RealServer]:
    with real_server(tmp_path) as real:
        yield real


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


def test_a_sheet_is_written_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = Image.new("RGB", (8, 8))
    save(page, tmp_path / "new" / "x.png")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.png"]

    def full(self: Any, path: Path, **_: Any) -> None:
        path.write_bytes(b"half")
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Image.Image, "save", full)
    with pytest.raises(SheetError, match=r"y\.png cannot be written: No space left on device$"):
        save(page, tmp_path / "new" / "y.png")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["x.png"]


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


# --- contact sheet -----------------------------------------------------------------------------------------


def test_samples_are_spread_over_the_take() -> None:
    assert sample_ticks(100, 3) == {0, 50, 99}
    assert sample_ticks(2, 24) == {0, 1}
    assert sample_ticks(1, 24) == {0}


def test_the_sheet_shows_each_sample_in_its_place() -> None:
    samples = [Sample(tick=tick, pixels=picture(tick * 30)) for tick in range(8)]
    page = contact_sheet(samples, [mark(0, "", "start"), mark(4, "night")], fps=16, title="A Fox")
    assert page.width == 14 + 6 * (320 + 14)
    assert page.getpixel((14 + 160, 46 + 90)) == (0, 0, 0)
    assert page.getpixel((14 + 334 + 160, 46 + 90)) == (30, 30, 30)
    assert page.getpixel((14 + 160, 46 + 192 + 46 + 7 + 90)) == (180, 180, 180)


def test_the_cue_in_force() -> None:
    timeline = [mark(0, "", "start"), mark(8, "night"), mark(16, "rain")]
    assert [getattr(in_force(timeline, tick), "label", None) for tick in (0, 7, 8, 100)] == ["", "", "night", "rain"]
    assert in_force([], 3) is None


# --- filming -----------------------------------------------------------------------------------------------


def opened(session: Session, mode: Any) -> World:
    return session.open(script=SCRIPT, mode=mode, delivery="every", paused=mode != "lockstep")


@pytest.mark.parametrize("mode", ["offline", "lockstep"])
def test_filming_takes_each_tick_once_and_marks_the_cues(server: RealServer, tmp_path: Path, mode: Any) -> None:
    seen: list[tuple[int, int]] = []
    with Session.connect(reach(server)) as session:
        world = opened(session, mode)
        world.event("night", at_tick=17)
        filmed = film(
            world,
            28,
            video=tmp_path / "a.mp4",
            sheet=tmp_path / "a.png",
            progress=lambda done, total: seen.append((done, total)),
        )
    assert seen == [(done, 28) for done in range(1, 29)]
    assert [(cue.tick, cue.kind, cue.label) for cue in filmed.timeline] == [
        (0, "start", ""),
        (20, "event", "night"),
    ]
    with av.open(str(tmp_path / "a.mp4")) as container:
        greens = [frame.to_ndarray(format="rgb24")[..., 1].mean() for frame in container.decode(video=0)]
    assert len(greens) == 28
    assert np.abs(np.array(greens) - np.arange(28)).max() < 6
    with Image.open(tmp_path / "a.png") as page:
        assert page.width == 14 + 6 * 334


def test_one_take_has_one_digest_however_it_is_filmed(server: RealServer) -> None:
    digests = []
    for mode in ("offline", "lockstep"):
        with Session.connect(reach(server)) as session:
            digests.append(film(opened(session, mode), 24).digest)
    assert digests[0] == digests[1]


def test_render_prepares_records_and_closes_its_world(server: RealServer, tmp_path: Path) -> None:
    def prepare(world: World) -> None:
        assert world.info.paused
        world.event("night", at_tick=4)

    filmed = render(
        reach(server), seconds=1.5, script=SCRIPT, seed=9, sheet=tmp_path / "sheet.png", take="x.take", prepare=prepare
    )
    assert filmed.ticks == 24
    assert server.got["open"][0].seed == 9
    actions = [control.action for control in server.got["control"]]
    assert [action for action in actions if action != "pause"] == ["record_start", "resume", "record_stop", "close"]
    assert (tmp_path / "sheet.png").is_file()


def test_marks_of_a_stretch_begin_with_the_cue_in_force() -> None:
    timeline = [mark(0, "", "start"), mark(8, "night"), mark(40, "rain"), mark(90, "late")]
    assert [(cue.tick, cue.label) for cue in since(timeline, 32, 40)] == [(0, "night"), (8, "rain")]
