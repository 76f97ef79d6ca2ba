import numpy as np
import pytest

from longtake.model.evaluation.figures import DRAWN, GENERATED, THROUGH, Sample
from longtake.model.evaluation.measures.base import QUICK
from longtake.model.evaluation.measures.looks import Looks, looks_of
from longtake.model.evaluation.studio import Studio
from tests.model.evaluation.scrolling import Scroller, scrolled


def test_motion_of_a_steady_picture_and_of_one_that_moves_between_blocks_only() -> None:
    steady = looks_of(scrolled(1, np.arange(24) * 2.0, np.zeros(24)), 4)
    juddering = looks_of(scrolled(1, np.repeat(np.arange(6) * 8.0, 4), np.zeros(24)), 4)
    assert steady["boundary"] / steady["inside"] == pytest.approx(1, abs=0.1)
    assert juddering["inside"] == 0
    assert juddering["motion"] == pytest.approx(juddering["boundary"] / 4)
    assert steady["detail"] == pytest.approx(juddering["detail"], rel=0.1)


def sample(place: str, weather: str, made: float, through: float) -> Sample:
    drawn = {"detail": 2.0, "motion": 1.0, "inside": 1.0, "boundary": 1.0}
    return Sample(
        tags={"place": place, "weather": weather},
        values={
            GENERATED: {"detail": 2 * made, "motion": made, "inside": made, "boundary": 3 * made},
            THROUGH: {name: value * through for name, value in drawn.items()},
            DRAWN: drawn,
        },
    )


def test_figures_are_means_the_worst_scene_and_each_place_and_weather() -> None:
    found = Looks().figures([sample("city", "rain", 0.5, 0.9), sample("city", "clear", 1.0, 1.0)])
    whole = {f.name: f for f in found if not f.part}
    detail = whole["detail / drawn"]
    assert (detail.value, detail.through, detail.verdict) == (0.75, pytest.approx(0.95), "missed")
    assert whole["detail / drawn, worst scene (city, rain)"].value == 0.5
    assert whole["evenness (boundary / inside)"].value == pytest.approx(3)
    parts = {(f.part, f.name): f.value for f in found if f.part}
    assert parts["weather rain", "detail / drawn"] == 0.5
    assert parts["place city", "motion / drawn"] == 0.75
    assert not any(part == "weather snow" for part, _ in parts)


def test_a_take_is_measured_beside_the_drawn_one_and_through_the_autoencoder() -> None:
    studio = Studio(Scroller(juddering=True), through=lambda frames: frames[:, ::-1].copy())
    found = Looks().shoot(studio, 0, QUICK)
    assert found.values[GENERATED]["inside"] == 0
    assert found.values[THROUGH] == pytest.approx(found.values[DRAWN])
    assert set(found.tags) >= {"place", "weather"}
