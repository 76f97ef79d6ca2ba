import numpy as np
import pytest

from longtake.model.diorama.actions import ACTION_FRAMES, RUN
from longtake.model.diorama.motion import Motion, motion

OWN = np.full(64, 1.5)


def held(speed: float, lift: float, before: tuple[float, float] = (0.0, 0.0)) -> Motion:
    """Motion of 64 frames: four latent frames of `before`, then what is held."""
    track = np.array([before] * 4 + [(speed, lift)] * 12, np.float32)
    return motion(OWN, track)


@pytest.mark.parametrize(("speed", "factor"), [(-1.0, -1.0), (-0.5, 0.0), (0.0, 1.0), (1.0, RUN)])
def test_the_ground_comes_to_the_asked_pace(speed: float, factor: float) -> None:
    moves = held(speed, 0.0)
    assert np.allclose(moves.velocity[:16], OWN[:16])
    assert moves.velocity[40:] == pytest.approx(factor * OWN[40:], abs=1e-3)
    assert np.allclose(np.diff(moves.distance), moves.velocity[1:])


def test_most_of_a_change_is_made_within_one_latent_frame() -> None:
    moves = held(1.0, 1.0)
    asked = RUN * OWN[0] - OWN[0]
    assert moves.velocity[15 + ACTION_FRAMES] - OWN[0] > 0.75 * asked
    assert moves.lift[15 + ACTION_FRAMES] > 0.4
    assert moves.lift[40] == pytest.approx(1.0, abs=0.01)


def test_a_clip_starts_settled_under_its_first_action() -> None:
    moves = held(1.0, -1.0, before=(1.0, -1.0))
    assert moves.velocity == pytest.approx(RUN * OWN)
    assert moves.lift == pytest.approx(np.full(64, -1.0))


def test_a_runner_leaps_again_and_again_while_lift_is_held() -> None:
    moves = held(0.0, 1.0)
    assert not moves.leap[:16].any()
    assert moves.leap[16 + 2] > 8
    grounded = np.flatnonzero(moves.leap[17:] == 0)
    assert np.diff(grounded).tolist() == [12] * (len(grounded) - 1)
    assert len(grounded) >= 3
    assert 16 <= moves.leap.max() <= 19


def test_a_leap_that_was_begun_is_finished_and_ducking_cuts_it_short() -> None:
    tracks = [np.array([(0, 0)] * 4 + [(0, 1)] + [(0, after)] * 11, np.float32) for after in (0, -1)]
    let_go, ducked = (motion(OWN, track).leap for track in tracks)
    assert let_go[16:20].tolist() == ducked[16:20].tolist()
    assert let_go[32:].max() == ducked[32:].max() == 0
    assert ducked.sum() < let_go.sum()
