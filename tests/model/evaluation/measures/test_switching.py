import numpy as np
import pytest

from longtake.model.diorama.captions import canonical
from longtake.model.diorama.scene import balanced_scene
from longtake.model.evaluation.figures import DRAWN, GENERATED, Sample
from longtake.model.evaluation.measures.switching import (
    CHANGED,
    KEPT,
    NEVER,
    Switching,
    another,
    jump,
    latency,
    readings_of,
    scenes,
    switch_values,
)
from longtake.model.evaluation.studio import Studio
from tests.model.evaluation.scrolling import Scroller


def test_a_label_counts_from_where_it_stays() -> None:
    assert latency([True, True], 4) == 4
    assert latency([False, True, False, True, True], 4) == 16
    assert latency([False, True, False], 4) == NEVER


def test_readings_after_a_switch() -> None:
    frames = np.zeros((16, 1, 1, 3), np.uint8)
    frames[8:] = 1
    new = {"place": "city", "time": "day", "weather": "rain", "actor": "fox", "colour": "red"}

    def read(some: np.ndarray) -> dict[str, str]:
        return new | ({} if some[0, 0, 0, 0] else {"place": "ocean"}) | {"colour": "blue"}

    found = switch_values(readings_of(frames, read, 4), new, 4)
    assert found == {"place": 12.0, "time": 4.0, "weather": 4.0, "kept actor": 1.0, "kept colour": 0.0}


def test_a_jump_is_the_change_at_one_frame() -> None:
    frames = np.zeros((4, 2, 2, 3), np.uint8)
    frames[2:] = 51
    assert jump(frames, 2) == pytest.approx(0.2)
    assert jump(frames, 3) == 0


def test_a_take_keeps_what_each_block_after_the_switch_reads() -> None:
    other = scenes(1)[1].labels()

    def read(frames: np.ndarray) -> dict[str, str]:
        return other | {"place": "none"}

    studio = Studio(Scroller(), read=read)
    sample = Switching().generated(studio, 1)
    assert studio.model.worlds[0].prompts == [canonical(scene) for scene in scenes(1)]
    assert sample.series["seconds"] == [0.25 * block for block in range(1, 21)]
    assert sample.series["place"] == [0.0] * 20
    assert sample.series["actor"] == [1.0] * 20
    assert sample.values[GENERATED]["place"] == NEVER
    assert sample.values[GENERATED]["jump"] > 0


def test_another_scene_keeps_the_actor() -> None:
    scene = balanced_scene(0, 3)
    other = another(scene, 3)
    assert all(getattr(scene, kind) != getattr(other, kind) for kind in CHANGED)
    assert all(getattr(scene, kind) == getattr(other, kind) for kind in KEPT)


def test_figures_of_switches() -> None:
    kept = {"kept actor": 1.0, "kept colour": 1.0, "time": 8.0, "weather": 8.0}
    samples = [
        Sample(values={GENERATED: kept | {"place": place}, DRAWN: kept | {"place": 20.0}})
        for place in (16.0, 32.0, NEVER)
    ]
    found = {f.name: f for f in Switching().figures(samples)}
    assert found["switch: place read"].value == pytest.approx(2 / 3)
    assert found["switch: place within 1.5 s"].value == pytest.approx(1 / 3)
    assert found["switch: place within 1.5 s"].drawn == 1
    assert found["switch latency: place, median s"].value == 1.5
    assert found["switch: actor kept"].verdict == "met"
