import numpy as np
import pytest

from longtake.model.diorama.labels import ACTORS, COLOURS, FPS, PLACES, WIDTH
from longtake.model.diorama.renderer import render_clip
from longtake.model.diorama.scene import Scene, Switch
from longtake.model.diorama.timeline import EDGE, GROUND_SPEED, PLACE_SECONDS, ramp, timeline

SCENE = Scene(place="meadow", time="day", weather="clear", actor="balloon", colour="red")


def difference(first: np.ndarray, second: np.ndarray) -> float:
    return float(np.abs(first.astype(float) - second.astype(float)).mean())


def test_a_clip_has_the_promised_shapes() -> None:
    clip = render_clip(SCENE, None, 5, seed=1)
    assert clip.frames.shape == (5, 96, 160, 3)
    assert clip.frames.dtype == np.uint8
    assert clip.boxes.shape == (5, 4)


def test_the_same_arguments_give_the_same_bytes_and_another_seed_does_not() -> None:
    switch = Switch(frame=4, scene=SCENE.changed(place="ocean", weather="rain"))
    first, again, other = (render_clip(SCENE, switch, 12, seed=seed) for seed in (3, 3, 4))
    assert np.array_equal(first.frames, again.frames)
    assert np.array_equal(first.boxes, again.boxes)
    assert difference(first.frames, other.frames) > 1


def test_twice_the_scale_is_the_same_scene() -> None:
    small, large = (render_clip(SCENE, None, 2, seed=5, scale=scale) for scale in (1, 2))
    assert large.frames.shape == (2, 192, 320, 3)
    halved = large.frames.reshape(2, 96, 2, 160, 2, 3).mean((2, 4))
    assert difference(halved, small.frames) < 2.5
    assert np.abs(large.boxes / 2 - small.boxes).max() <= 1


@pytest.mark.parametrize("actor", ACTORS)
def test_the_actor_is_inside_its_box_and_painted_in_its_colour(actor: str) -> None:
    red, blue = (render_clip(SCENE.changed(actor=actor, colour=colour), None, 1, seed=2) for colour in ("red", "blue"))
    assert np.array_equal(red.boxes, blue.boxes)
    x0, y0, x1, y1 = (int(value) for value in red.boxes[0])
    assert 25 < x1 - x0 < 80
    assert 25 < y1 - y0 < 70
    changed = np.abs(red.frames[0].astype(int) - blue.frames[0].astype(int)).sum(-1) > 30
    inside = np.zeros_like(changed)
    inside[y0 - 1 : y1 + 1, x0 - 1 : x1 + 1] = True
    assert changed[inside].mean() > 0.15
    assert not changed[~inside].any()


def test_a_switch_leaves_the_past_alone_and_arrives_at_the_new_scene() -> None:
    target = SCENE.changed(time="night", weather="snow")
    plain = render_clip(SCENE, None, 40, seed=6)
    switched = render_clip(SCENE, Switch(frame=8, scene=target), 40, seed=6)
    arrived = render_clip(target, None, 40, seed=6)
    assert np.array_equal(plain.frames[:8], switched.frames[:8])
    assert difference(switched.frames[24:], arrived.frames[24:]) < 0.5
    assert difference(switched.frames[10], arrived.frames[10]) > 5


def test_a_new_place_comes_from_the_right_and_keeps_the_actor() -> None:
    target = SCENE.changed(place="city")
    plain = render_clip(SCENE, None, 48, seed=7)
    switched = render_clip(SCENE, Switch(frame=4, scene=target), 48, seed=7)
    change = np.abs(plain.frames[16].astype(int) - switched.frames[16].astype(int)).mean((0, 2))
    assert change[130:].mean() > 5
    assert change[:40].max() == 0
    assert np.array_equal(plain.boxes, switched.boxes)


def test_a_new_actor_takes_over_in_place() -> None:
    target = SCENE.changed(actor="fox", colour="blue")
    switched = render_clip(SCENE, Switch(frame=4, scene=target), 24, seed=8)
    arrived = render_clip(target, None, 24, seed=8)
    assert np.array_equal(switched.boxes[16:], arrived.boxes[16:])
    assert np.array_equal(switched.frames[16:], arrived.frames[16:])


@pytest.mark.parametrize("time", ["day", "night"])
def test_every_colour_differs_from_every_other(time: str) -> None:
    clips = [render_clip(SCENE.changed(colour=colour, time=time), None, 1, seed=1) for colour in COLOURS]
    x0, y0, x1, y1 = (int(value) for value in clips[0].boxes[0])
    looks = [clip.frames[0, y0:y1, x0:x1] for clip in clips]
    for index, look in enumerate(looks):
        for other in looks[:index]:
            assert difference(look, other) > 8


@pytest.mark.parametrize("place", PLACES)
def test_every_place_shows_each_weather_and_hour_differently(place: str) -> None:
    looks = [
        render_clip(SCENE.changed(place=place, time=time, weather=weather), None, 1, seed=1).frames
        for time in ("day", "night")
        for weather in ("clear", "rain", "snow", "fog")
    ]
    for index, look in enumerate(looks):
        for other in looks[:index]:
            assert difference(look, other) > 3


def test_speed_is_the_scroll_of_the_ground() -> None:
    for speed, units in GROUND_SPEED.items():
        line = timeline(SCENE.changed(speed=speed), None, FPS + 1)
        assert line.motion.distance[FPS] == pytest.approx(units)


def test_a_ramp_starts_at_its_frame_and_ends_in_time() -> None:
    rise = ramp(40, 8, 1.0)
    assert not rise[:8].any()
    assert rise[8] > 0
    assert (rise[8 + FPS - 1 :] == 1).all()
    assert (np.diff(rise) >= 0).all()


def test_impossible_clips_are_refused() -> None:
    with pytest.raises(ValueError, match="frames and scale"):
        render_clip(SCENE, None, 0, seed=1)
    with pytest.raises(ValueError, match="beyond the clip's 8 frames"):
        render_clip(SCENE, Switch(frame=8, scene=SCENE), 8, seed=1)


def test_a_new_place_is_seen_within_the_first_latent_frame_and_sweeps_evenly() -> None:
    line = timeline(SCENE, Switch(frame=8, scene=SCENE.changed(place="ocean")), 48)
    assert (line.edge[:8] >= WIDTH).all()
    assert line.edge[11] < WIDTH - EDGE / 2  # a strip of it stands at the right border
    steps = -np.diff(line.edge[8 : 8 + round(PLACE_SECONDS * FPS)])
    assert np.allclose(steps, steps[0], atol=1e-3)
    assert line.edge[8 + round(PLACE_SECONDS * FPS)] <= -EDGE


@pytest.mark.parametrize("place", PLACES)
def test_marks_on_the_ground_survive_a_coarse_grid_so_that_its_motion_can_be_seen(place: str) -> None:
    for seed in range(3):
        frame = render_clip(SCENE.changed(place=place), None, 1, seed=seed).frames[0]
        ground = frame[-20:].astype(float)  # a fifth of the picture
        cells = ground.reshape(5, 4, WIDTH // 4, 4, 3).mean((1, 3))
        contrast = np.abs(cells - cells.mean(1, keepdims=True)).mean((1, 2))  # of each row of cells
        assert contrast.max() > 18
