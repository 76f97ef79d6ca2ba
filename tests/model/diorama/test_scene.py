import numpy as np
import pytest

from longtake.model.diorama.labels import LABELS
from longtake.model.diorama.scene import Scene, Switch, balanced_scene, random_change, random_scene

SCENE = Scene(place="city", time="night", weather="rain", actor="train", colour="blue", speed="fast")


def test_a_label_outside_its_set_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="weather 'hail' is not one of clear, rain"):
        SCENE.changed(weather="hail")


def test_labels_round_trip() -> None:
    assert Scene.from_labels(SCENE.labels()) == SCENE
    assert list(SCENE.labels()) == list(LABELS)


def test_a_switch_cannot_come_before_the_clip() -> None:
    with pytest.raises(ValueError, match="0 or more"):
        Switch(frame=-1, scene=SCENE)


def test_balanced_scenes_hold_every_label_equally_often() -> None:
    scenes = [balanced_scene(4, index) for index in range(24)]
    for kind, labels in LABELS.items():
        values = [getattr(scene, kind) for scene in scenes]
        assert {values.count(label) for label in labels} == {24 // len(labels)}


def test_balanced_scenes_depend_on_seed_and_index_only() -> None:
    assert balanced_scene(4, 7) == balanced_scene(4, 7)
    assert [balanced_scene(4, i) for i in range(8)] != [balanced_scene(5, i) for i in range(8)]


def test_a_change_alters_one_to_four_kinds() -> None:
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(300):
        scene = random_scene(rng)
        other = random_change(scene, rng)
        changed = [kind for kind in LABELS if getattr(scene, kind) != getattr(other, kind)]
        assert 1 <= len(changed) <= 4
        if len(changed) == 4:
            assert {"actor", "colour"} <= set(changed)
        seen.update(changed)
    assert seen == set(LABELS)
