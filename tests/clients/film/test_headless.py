"""Filming a world of the real server."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image

from longtake.clients.film.headless import film, render, since
from longtake.clients.session import Session, World
from longtake.protocol import messages as m
from tests.clients.film.pictures import mark
from tests.clients.real_server import RealServer, real_server
from tests.reach import reach

SCRIPT = m.Script(
    name="test",
    template="a fox {time}",
    slots=[m.Slot(name="time", default="day")],
    events={"night": m.EventDef(set={"time": "night"})},
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RealServer]:
    with real_server(tmp_path) as real:
        yield real


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
