import argparse
from pathlib import Path

import pytest

from longtake.model.evaluation.figures import GENERATED, Sample
from longtake.model.evaluation.measures.base import QUICK
from longtake.model.evaluation.measures.drift import Drift
from longtake.model.evaluation.measures.wording import Wording
from longtake.model.evaluation.studio import Studio
from longtake.runtime.cli.eval_pieces import Part, Pieces, film, part
from longtake.runtime.cli.usage import UsageError
from tests.model.evaluation.scrolling import Scroller

LABELS = {"place": "city", "time": "day", "weather": "rain", "actor": "fox", "colour": "red"}


def test_parts_share_the_takes() -> None:
    halves = [part("1/2"), part("2/2")]
    assert [[half.takes(index) for half in halves] for index in range(3)] == [
        [True, False],
        [False, True],
        [True, False],
    ]
    for wrong in ("0/2", "3/2", "half", "1/0"):
        with pytest.raises(argparse.ArgumentTypeError, match="1/2 and 2/2"):
            part(wrong)


def test_two_halves_are_the_whole_and_nothing_is_filmed_twice(tmp_path: Path) -> None:
    model, measures = Scroller(), [Wording(), Drift()]
    studio = Studio(model, read=lambda frames: LABELS)
    folder, seen = tmp_path / "eval", []
    about = {"weights": "a"}
    for number, expected in ((1, 3), (2, 5)):
        pieces = Pieces(folder, about)
        done = film(
            measures, studio, QUICK, pieces, Part(number=number, of=2), lambda done, of: seen.append((done, of))
        )
        assert done == (expected, 5)
    assert seen == [(1, 3), (2, 3), (3, 3), (1, 2), (2, 2)]
    filmed = len(model.worlds)
    pieces = Pieces(folder, about)
    assert film(measures, studio, QUICK, pieces, Part(), lambda done, of: None) == (5, 5)
    assert len(model.worlds) == filmed == 5
    together = Pieces(None, about)
    film(measures, studio, QUICK, together, Part(), lambda done, of: None)
    assert pieces.of(measures[0], QUICK) == together.of(measures[0], QUICK)


def test_other_settings_other_folders_and_damage_are_one_line_each(tmp_path: Path) -> None:
    folder = tmp_path / "eval"
    Pieces(folder, {"weights": "a"}).put("drift", 0, Sample(values={GENERATED: {"early actor": 1.0}}))
    with pytest.raises(UsageError, match="other weights or settings"):
        Pieces(folder, {"weights": "b"})
    (folder / "drift-000.json").write_text('{"tags": 3}')
    with pytest.raises(UsageError, match=r"drift-000.json is damaged .*remove it"):
        Pieces(folder, {"weights": "a"}).get("drift", 0)
    other = tmp_path / "other"
    other.mkdir()
    (other / "letter.txt").write_text("")
    with pytest.raises(UsageError, match="choose another --output"):
        Pieces(other, {})
    with pytest.raises(UsageError, match="choose another --output"):
        Pieces(other / "letter.txt", {})
