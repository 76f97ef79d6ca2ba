import numpy as np
import pytest

from longtake.model.diorama.renderer import render_clip
from longtake.model.evaluation.flow import block_flow
from longtake.model.evaluation.measures.base import QUICK
from longtake.model.evaluation.measures.flying import FLYERS, flying_scene
from longtake.model.evaluation.measures.steering import TRACK, Steering, track, trials
from longtake.model.evaluation.studio import Studio
from longtake.model.interface.world_model import Axis
from tests.model.evaluation.scrolling import Scroller


def test_the_track_becomes_changes_in_the_order_of_the_models_axes() -> None:
    changes = Studio(Scroller()).steered("a fox", track())
    assert len(changes) == len(TRACK)
    assert changes[8].actions == (0.0, -1.0)
    assert changes[0].prompt == "a fox"


def test_one_that_obeys_is_right_and_one_that_is_deaf_is_not() -> None:
    samples = [Steering().shoot(Studio(model), 0, QUICK) for model in (Scroller(), Scroller(deaf=True))]
    obeys, deaf = ({f.name: f for f in Steering().figures([sample])} for sample in samples)
    assert obeys["actions"].value >= 0.95
    assert obeys["actions"].verdict == "met"
    assert obeys["actions"].drawn is not None
    assert obeys["actions"].drawn >= 0.9
    assert deaf["actions"].value == 0
    assert deaf["actions"].verdict == "missed"


def test_trials_of_flow_that_is_known() -> None:
    blocks = len(track())
    still = trials(np.zeros((blocks - 1, 2)))
    # Whoever does not move by itself is never right, not even in standing.
    assert not any(answer for some in still.values() for answer in some)
    assert {name: len(some) for name, some in still.items()} == {"back": 6, "stand": 6, "run": 6, "lift": 4}


def test_a_model_without_these_axes_is_not_steered() -> None:
    assert Studio(Scroller()).abilities["actions"] == ""
    assert "no axes speed and lift" in Studio(Scroller(axes=(Axis(name="speed"),))).abilities["actions"]


@pytest.mark.parametrize("index", range(12))
def test_drawn_scenes_are_read_right(index: int) -> None:
    actions = track()
    drawn = render_clip(flying_scene(index), None, 4 * len(actions), seed=index, actions=actions).frames
    answers = [answer for some in trials(block_flow(drawn)).values() for answer in some]
    assert np.mean(answers) >= 0.95, "a measure that misreads the drawn world says nothing about another one"


@pytest.mark.parametrize("index", [0, 7])
def test_the_scenes_fly(index: int) -> None:
    assert flying_scene(index).actor in FLYERS
    assert flying_scene(index) != flying_scene(index + 6)
