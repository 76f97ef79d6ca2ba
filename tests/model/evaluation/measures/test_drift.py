from collections.abc import Mapping

import numpy as np
import pytest

from longtake.model.diorama.scene import balanced_scene
from longtake.model.evaluation.figures import GENERATED, Sample
from longtake.model.evaluation.measures.base import Effort
from longtake.model.evaluation.measures.drift import SCENES_SEED, Drift, colour_distance, moments
from longtake.model.evaluation.studio import Pictures, Studio
from tests.model.evaluation.scrolling import Scroller

SHORT = Effort(drifts=1, drift_seconds=10.0)


def test_moments_begin_at_the_fifth_second_and_end_at_the_end() -> None:
    assert moments(10) == [5, 10]
    assert moments(60) == [5, 20, 40, 60]


def test_a_steady_take_does_not_drift_and_forgets_what_its_reader_forgets() -> None:
    scene = balanced_scene(SCENES_SEED, 0).labels()
    calls: list[int] = []

    def read(frames: Pictures) -> Mapping[str, str]:
        calls.append(len(frames))
        return scene if len(calls) == 1 else scene | {"actor": "none", "colour": "none"}

    sample = Drift().shoot(Studio(Scroller(), read=read), 0, SHORT)
    assert calls == [8, 8]
    found = {f.name: f for f in Drift().figures([sample])}
    assert found["drift: labels lost, 10 s against 5 s"].value == pytest.approx(0.4)
    assert found["drift: labels lost, 10 s against 5 s"].verdict == "missed"
    assert found["drift: motion, 10 s against 5 s"].value == pytest.approx(1, abs=0.1)
    assert sample.series["seconds"] == [5.0, 10.0]
    assert sample.series["read actor"] == [1.0, 0.0]


def test_without_a_probe_there_are_no_labels() -> None:
    sample = Drift().shoot(Studio(Scroller()), 0, SHORT)
    assert sample.values[GENERATED] == {}
    assert not any("labels" in f.name for f in Drift().figures([sample]))


def test_detail_that_is_lost_is_found() -> None:
    series = {"seconds": [5.0, 240.0], "detail": [2.0, 1.0], "motion": [1.0, 1.0], "colour": [0.0, 3.0]}
    found = {f.name: f for f in Drift().figures([Sample(values={GENERATED: {}}, series=series)])}
    assert found["drift: change of detail"].value == pytest.approx(0.5)
    assert found["drift: change of detail"].verdict == "missed"


def test_colour_distance_in_levels() -> None:
    dark, light = np.zeros((2, 4, 4, 3), np.uint8), np.full((2, 4, 4, 3), 10, np.uint8)
    assert colour_distance(light, dark) == pytest.approx(10)
    assert colour_distance(dark, dark) == 0
