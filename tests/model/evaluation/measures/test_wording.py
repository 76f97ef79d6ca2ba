from longtake.model.diorama.captions import canonical
from longtake.model.diorama.scene import balanced_scene
from longtake.model.evaluation.measures.base import QUICK
from longtake.model.evaluation.measures.wording import SCENES_SEED, Wording
from longtake.model.evaluation.studio import Studio
from tests.model.evaluation.scrolling import Scroller


def test_the_scene_is_told_in_other_words_and_read_back() -> None:
    scene, model = balanced_scene(SCENES_SEED, 1), Scroller()
    labels = scene.labels() | {"weather": "sunshine"}
    sample = Wording().shoot(Studio(model, read=lambda frames: labels), 1, QUICK)
    (world,) = model.worlds
    assert world.prompts[0] != canonical(scene)
    found = {f.name: f for f in Wording().figures([sample])}
    assert found["held-out words: actor"].value == 1
    assert found["held-out words: weather"].value == 0
    assert found["held-out words"].value == 0.8
    assert sample.notes == [{"stage": "wording", "kind": "weather", "read": "sunshine", "prompt": world.prompts[0]}]
