"""What a viewer or a model sees of the world's motion: even, in the asked direction, and strong enough to follow."""

import numpy as np
import pytest
from numpy.typing import NDArray

from longtake.model.diorama.labels import ACTORS, PLACES, WEATHERS
from longtake.model.diorama.renderer import Clip, render_clip
from longtake.model.diorama.scene import Scene

SCENE = Scene(place="meadow", time="day", weather="clear", actor="balloon", colour="red")
GROUND = slice(78, 96)
"""Rows that only the near layer fills."""
SKY = slice(0, 30)


def steered(scene: Scene, *held: tuple[float, float, int], seed: int = 3) -> Clip:
    """A clip under actions: speed, lift, and for how many latent frames they are held."""
    track = np.concatenate([np.tile(np.array([[speed, lift]], np.float32), (steps, 1)) for speed, lift, steps in held])
    return render_clip(scene, None, 4 * len(track), seed=seed, actions=track)


def scroll(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """How far the ground moved to the left from one picture to the next, in units, by phase correlation."""
    spectra = []
    for frame in (first, second):
        rows = frame[GROUND].astype(float).mean(-1)
        rows = (rows - rows.mean(1, keepdims=True)) * np.hanning(rows.shape[1])
        spectra.append(np.fft.rfft(rows, axis=1))
    cross = (spectra[0] * spectra[1].conj()).sum(0)
    correlation = np.fft.irfft(cross / (np.abs(cross) + 1e-3 * np.abs(cross).max()), 160)
    shift = int(correlation.argmax())
    return float(shift if shift < 80 else shift - 160)


def differences(frames: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Mean change from each frame to the next."""
    changes: NDArray[np.float64] = np.abs(np.diff(frames.astype(np.int16), axis=0)).mean((1, 2, 3))
    return changes


@pytest.mark.parametrize("weather", WEATHERS)
def test_motion_is_as_strong_at_the_boundary_of_latent_frames_as_inside(weather: str) -> None:
    boundary, inside = [], []
    for index, place in enumerate(PLACES):
        for speed in ("slow", "fast"):
            scene = SCENE.changed(place=place, weather=weather, actor=ACTORS[index], speed=speed)
            changes = differences(render_clip(scene, None, 44, seed=index).frames)
            at_boundary = np.arange(1, 44) % 4 == 0
            boundary.append(changes[at_boundary].mean())
            inside.append(changes[~at_boundary].mean())
            assert 0.88 < boundary[-1] / inside[-1] < 1.13, (place, speed)
    assert 0.95 < np.mean(boundary) / np.mean(inside) < 1.05
    assert min(inside) > 1, "something always moves"


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize(("speed", "units"), [(-1.0, -6.0), (-0.5, 0.0), (0.0, 6.0), (1.0, 13.2)])
def test_the_ground_moves_the_way_the_stick_says(place: str, speed: float, units: float) -> None:
    clip = steered(SCENE.changed(place=place), (0.0, 0.0, 2), (speed, 0.0, 8))
    assert clip.velocity[8 + 16 :].sum() / 16 * 4 == pytest.approx(units, abs=0.1)
    flows = [scroll(clip.frames[t], clip.frames[t + 4]) for t in range(20, 36)]
    assert np.median(flows) == pytest.approx(units, abs=1)


def test_fast_is_two_and_a_half_times_slow() -> None:
    flows = {}
    for speed in ("slow", "normal", "fast"):
        frames = render_clip(SCENE.changed(speed=speed), None, 24, seed=2).frames
        flows[speed] = np.median([scroll(frames[t], frames[t + 8]) for t in range(16)])
    assert 2.2 <= flows["fast"] / flows["slow"] <= 3.0
    assert flows["slow"] < flows["normal"] < flows["fast"]


@pytest.mark.parametrize("actor", ACTORS)
def test_lift_moves_the_actor_up_and_down(actor: str) -> None:
    scene = SCENE.changed(actor=actor, place="ocean" if actor == "boat" else "meadow")
    rest, up, down = (steered(scene, (0.0, lift, 6)).boxes for lift in (0.0, 1.0, -1.0))
    top = {name: boxes[:, 1].min() for name, boxes in (("rest", rest), ("up", up), ("down", down))}
    if actor == "train":
        assert (up[:, 1] != rest[:, 1]).all(), "it whistles"
    else:
        assert top["up"] < top["rest"] - 1
    assert down[:, 1].mean() > rest[:, 1].mean() + 1


@pytest.mark.parametrize("actor", ACTORS)
@pytest.mark.parametrize("held", [(1.0, 0.0), (-1.0, 0.0), (0.0, 1.0), (0.0, -1.0)])
def test_an_action_is_seen_within_its_own_latent_frame(actor: str, held: tuple[float, float]) -> None:
    scene = SCENE.changed(actor=actor)
    still, moved = (steered(scene, (0.0, 0.0, 4), (*after, 1)).frames for after in ((0.0, 0.0), held))
    assert np.array_equal(still[:16], moved[:16])
    changed = np.abs(still[16:].astype(int) - moved[16:].astype(int)).mean((1, 2, 3))
    assert changed[-1] > 1
    assert (np.diff(changed) > 0).all()


@pytest.mark.parametrize("time", ["day", "night"])
@pytest.mark.parametrize("weather", ["rain", "snow"])
def test_rain_and_snow_are_seen_to_fall_by_day_and_by_night(time: str, weather: str) -> None:
    # Nothing else moves in the sky of a standing world, but clouds, slowly.
    falling, clear = (
        steered(SCENE.changed(time=time, weather=each, actor="fox"), (-0.5, 0.0, 5)).frames[:, SKY]
        for each in (weather, "clear")
    )
    assert differences(falling).mean() > 1.5
    assert differences(falling).mean() > 4 * differences(clear).mean()
    bright = np.abs(falling.astype(int) - np.median(falling, axis=0)).max(-1) > 40
    assert 0.02 < bright.mean() < 0.15, "sparse, and in strong contrast"


@pytest.mark.parametrize("time", ["day", "night"])
@pytest.mark.parametrize("weather", WEATHERS)
def test_places_are_told_apart_in_every_weather_by_day_and_by_night(time: str, weather: str) -> None:
    looks = []
    for place in PLACES:
        scene = SCENE.changed(place=place, time=time, weather=weather)
        takes = [render_clip(scene, None, 1, seed=seed).frames[0].astype(float) for seed in range(4)]
        looks.append(np.mean(takes, axis=0))
    apart = [np.abs(look - other).mean() for index, look in enumerate(looks) for other in looks[:index]]
    assert np.mean(apart) > 9
    assert min(apart) > 5


def test_the_same_actions_give_the_same_bytes() -> None:
    first, again = (steered(SCENE.changed(actor="fox"), (0.3, 1.0, 3), (-1.0, -0.4, 3)) for _ in range(2))
    assert np.array_equal(first.frames, again.frames)
    assert np.array_equal(first.boxes, again.boxes)


def test_twice_the_scale_shows_the_same_motion() -> None:
    track = np.array([(0, 0), (0.7, 1), (-1, -1)], np.float32)
    scene = SCENE.changed(actor="bird", place="ocean", weather="rain")
    small, large = (render_clip(scene, None, 12, seed=5, scale=scale, actions=track).frames for scale in (1, 2))
    halved = large.reshape(12, 96, 2, 160, 2, 3).astype(float).mean((2, 4))
    assert np.abs(halved - small).mean() < 1.5


def test_actions_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match=r"takes actions of shape \(2, 2\)"):
        render_clip(SCENE, None, 8, seed=1, actions=np.zeros((1, 2), np.float32))
