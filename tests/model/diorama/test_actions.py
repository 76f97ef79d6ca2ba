import numpy as np
import pytest

from longtake.model.diorama.actions import RUN, action_steps, checked, no_actions, pace, random_actions


def test_the_pace_goes_through_back_stand_own_and_run() -> None:
    assert pace(np.array([-1, -0.75, -0.5, 0, 0.5, 1])).tolist() == [-1, -0.5, 0, 1, (1 + RUN) / 2, RUN]


def test_a_track_has_one_row_for_each_four_frames() -> None:
    assert [action_steps(frames) for frames in (1, 4, 5, 80)] == [1, 1, 2, 20]
    assert no_actions(80).shape == (20, 2)


def test_actions_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"8 frames takes actions of shape \(2, 2\), got \(3, 2\)"):
        checked(np.zeros((3, 2), np.float32), 8)
    for value in (1.5, float("nan")):
        with pytest.raises(ValueError, match="from -1 to 1"):
            checked(np.full((2, 2), value, np.float32), 8)


def test_random_tracks_rest_a_quarter_of_the_time_and_hold_between_changes() -> None:
    tracks = [random_actions(np.random.default_rng(seed), 20) for seed in range(400)]
    rest = np.mean([(track == 0).all(1).mean() for track in tracks])
    assert 0.2 < rest < 0.3
    changes = np.mean([np.any(np.diff(track, axis=0) != 0, axis=1).sum() for track in tracks])
    assert 1.5 < changes < 4
    values = np.concatenate(tracks)
    assert values.min() == -1
    assert values.max() == 1
    assert all(checked(track, 80).dtype == np.float32 for track in tracks)
