import os
import re
import subprocess
import sys

import numpy as np
import pytest

from longtake.model.diorama.captions import HELD_OUT, SYNONYMS, canonical, caption, held_out, misspell, with_article
from longtake.model.diorama.labels import LABELS, SCORED
from longtake.model.diorama.loose_words import LOOSE
from longtake.model.diorama.scene import Scene, random_scene

SCENE = Scene(place="ocean", time="night", weather="rain", actor="boat", colour="orange", speed="fast")


def labels_told(text: str, kind: str) -> set[str]:
    """The labels of a kind whose words occur in a text."""
    found = set()
    for label, phrases in SYNONYMS[kind].items():
        if any(re.search(rf"\b{re.escape(phrase.lower())}\b", text.lower()) for phrase in phrases):
            found.add(label)
    return found


def test_canonical_is_plain_and_names_everything() -> None:
    assert canonical(SCENE) == "an orange boat sails fast on the ocean at night, in heavy rain"
    assert canonical(SCENE.changed(speed="normal", actor="bird", place="meadow")) == (
        "an orange bird flies over a meadow at night, in heavy rain"
    )


def test_every_label_has_synonyms_and_no_phrase_means_two() -> None:
    for kind, labels in LABELS.items():
        assert set(SYNONYMS[kind]) == set(labels)
        phrases = [phrase for label in labels for phrase in SYNONYMS[kind][label]]
        assert len(phrases) == len(set(phrases))
        assert all(len(SYNONYMS[kind][label]) >= 18 for label in labels)


def test_captions_name_every_actor_colour_and_place() -> None:
    rng = np.random.default_rng(0)
    for _ in range(400):
        scene = random_scene(rng)
        text = caption(scene, rng)
        for kind in ("place", "actor", "colour"):
            assert getattr(scene, kind) in labels_told(text, kind), (kind, text)


def test_captions_vary_and_repeat_with_the_same_random_state() -> None:
    texts = [caption(SCENE, np.random.default_rng(seed)) for seed in range(60)]
    assert texts == [caption(SCENE, np.random.default_rng(seed)) for seed in range(60)]
    assert len(set(texts)) > 55
    assert min(len(text) for text in texts) < 45
    assert max(len(text) for text in texts) > 75


def test_dropping_leaves_labels_out_but_never_everything() -> None:
    rng = np.random.default_rng(1)
    told = [caption(SCENE, rng, drop=0.5) for _ in range(300)]
    named = np.mean([bool(labels_told(text, "actor")) for text in told])
    assert 0.4 < named < 0.65
    assert all(text.strip(" .,") for text in told)
    assert all(caption(SCENE, rng, drop=1.0).strip(" .,") for _ in range(20))


def test_an_event_clause_comes_after_the_words_it_corrects() -> None:
    clauses = SYNONYMS["time"]["night"]
    rng = np.random.default_rng(2)
    corrected = 0
    for _ in range(600):
        text = caption(SCENE, rng)
        if len(labels_told(text, "time") - {"night"}):
            tail = text.rstrip(".").split(", ")[1:]
            assert any(part in clauses for part in tail), text
            corrected += 1
    assert corrected > 0


@pytest.mark.parametrize("kind", SCORED)
def test_held_out_words_stay_out_of_what_is_trained_on(kind: str) -> None:
    rng = np.random.default_rng(3)
    corpus = " / ".join(caption(random_scene(rng), rng).lower() for _ in range(1500))
    for label, phrases in HELD_OUT[kind].items():
        assert phrases
        for phrase in phrases:
            assert phrase not in SYNONYMS[kind][label]
            assert not any(phrase in loose for loose in LOOSE[kind].values()), phrase
            assert not re.search(rf"\b{re.escape(phrase)}\b", corpus), phrase


def test_held_out_replaces_the_kinds_asked_for() -> None:
    text = held_out(SCENE, np.random.default_rng(4), kinds=("colour",))
    assert any(phrase in text for phrase in HELD_OUT["colour"]["orange"])
    assert text.endswith("boat sails on the ocean at night, in heavy rain")


def test_articles() -> None:
    assert with_article("sea") == "the sea"
    assert with_article("dunes", ["misty"]) == "misty dunes"
    assert with_article("forest", ["early-morning"]) == "an early-morning forest"
    assert with_article("metropolis") == "a metropolis"
    assert with_article("row of houses") == "a row of houses"
    assert with_article("boat with sails", ["orange"]) == "an orange boat with sails"
    assert with_article("islands in the sea") == "islands in the sea"


def test_misspelling_changes_one_long_word() -> None:
    rng = np.random.default_rng(5)
    text = "a red balloon drifts over a meadow"
    slipped = [misspell(text, rng) for _ in range(30)]
    assert all(sum(a != b for a, b in zip(text.split(), out.split(), strict=True)) <= 1 for out in slipped)
    assert any(out != text for out in slipped)
    assert misspell("a red fox", rng) == "a red fox"


def test_captions_are_the_same_in_every_process() -> None:
    script = (
        "import hashlib, numpy as np\n"
        "from longtake.model.diorama.captions import caption\n"
        "from longtake.model.diorama.scene import random_change, random_scene\n"
        "rng, said = np.random.default_rng(0), hashlib.blake2b(digest_size=8)\n"
        "for _ in range(400):\n"
        "    scene = random_scene(rng)\n"
        "    said.update((caption(scene, rng, 0.1) + caption(random_change(scene, rng), rng)).encode())\n"
        "print(said.hexdigest())\n"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1
