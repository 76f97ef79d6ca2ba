import math
import xml.etree.ElementTree as ET

import pytest

from longtake.model.evaluation.ablations.report import ablations_page, plots
from longtake.model.evaluation.ablations.tables import (
    Ablation,
    Outcome,
    as_json,
    cell,
    long_figures,
    markdown,
    short_figures,
    switch_figures,
)
from longtake.model.evaluation.figures import DRAWN, GENERATED, Figure, Sample
from longtake.model.evaluation.measures.switching import NEVER
from longtake.model.evaluation.plots import standalone

KINDS = ("place", "time", "weather", "actor", "colour")


def switch(*, at_block: int, jump: float, source: str = GENERATED) -> Sample:
    """A switch whose place is read from a block on; time and weather at once; the actor is lost."""
    place = [float(block >= at_block) for block in range(20)]
    series = {"seconds": [0.25 * (block + 1) for block in range(20)], "place": place}
    series |= {kind: [1.0] * 20 for kind in ("time", "weather", "colour")} | {"actor": [0.0] * 20}
    latency = 4.0 * (at_block + 1) if at_block < 20 else NEVER
    values = {"place": latency, "time": 4.0, "weather": 4.0, "kept actor": 0.0, "kept colour": 1.0, "jump": jump}
    return Sample(values={source: values}, series=series)


SHOT = {i: switch(at_block=block, jump=0.02) for i, block in enumerate((0, 3, 5, 20))}
SHOT_DRAWN = {i: switch(at_block=2, jump=0.01, source=DRAWN) for i in range(4)}


def test_figures_of_a_switch() -> None:
    found = {figure.name: figure for figure in switch_figures(SHOT, SHOT_DRAWN)}
    by_second = [found[f"place read after {second} s"].value for second in (1, 2, 5)]
    assert by_second == [0.5, 0.75, 0.75]
    # Wilson's interval of 2 and 3 of 4, to the digits of published tables
    assert found["place read after 1 s"].interval == pytest.approx((0.1500, 0.8500), abs=1e-4)
    assert found["place read after 2 s"].interval == pytest.approx((0.3006, 0.9544), abs=1e-4)
    frames = found["frames until the place is read and kept, median"]
    assert (frames.value, frames.samples) == (16.0, 3)  # 4, 16 and 24; the fourth never
    assert found["actor kept"].value == 0
    assert found["colour kept"].interval == pytest.approx((0.5101, 1.0), abs=1e-4)
    jump = found["change at the switch / drawn"]
    assert (jump.value, jump.interval, jump.samples) == (pytest.approx(2), pytest.approx((2, 2)), 4)
    drawn = {figure.name: figure for figure in switch_figures(SHOT_DRAWN, SHOT_DRAWN)}
    assert drawn["frames until the place is read and kept, median"].value == 12
    assert drawn["change at the switch / drawn"].value == 1


def long(*, motion: float, right: float = 1.0) -> Sample:
    series = {"seconds": [5.0, 10.0, 20.0, 40.0, 60.0], "detail": [2.0] * 5, "motion": [1.0, motion, 1.0, 1.0, 1.0]}
    series |= {"colour": [0.0, 1.0, 2.0, 3.0, 4.0]} | {f"read {kind}": [1.0] * 4 + [right] for kind in KINDS}
    return Sample(series=series)


def test_figures_of_long_takes_are_at_ten_and_sixty_seconds_if_they_last_that_long() -> None:
    found = {figure.name: figure for figure in long_figures({0: long(motion=1.0), 1: long(motion=0.5, right=0.0)})}
    assert found["motion at 10 s / at 5 s"].value == 0.75
    assert found["motion at 10 s / at 5 s"].interval == (0.5, 1.0)
    assert (found["labels read at 60 s"].value, found["labels read at 60 s"].samples) == (0.5, 10)
    assert found["colour's distance at 60 s, of 255"].value == 4
    assert not any("240" in name or "20 s" in name for name in found)


def test_one_take_has_no_interval() -> None:
    (figure,) = [f for f in long_figures({0: long(motion=1.0)}) if f.name == "motion at 10 s / at 5 s"]
    assert math.isnan(figure.interval[0])
    assert cell(figure) == "1.00, 1"
    assert cell(Figure(name="x", value=math.nan)) == "none"
    assert cell(Figure(name="x", value=0.5, interval=(0.25, 0.75), samples=8)) == "0.50 (0.25 to 0.75), 8"


def short(detail: float, source: str) -> Sample:
    values = {"detail": detail, "motion": 1.0, "inside": 1.0, "boundary": 1.0}
    values |= {f"read {kind}": float(kind != "place") for kind in KINDS} if source == GENERATED else {}
    return Sample(values={source: values})


def test_figures_of_short_takes_pair_what_is_drawn_too() -> None:
    shot = {0: short(1.0, GENERATED), 2: short(3.0, GENERATED)}
    found = {figure.name: figure for figure in short_figures(shot, {0: short(2.0, DRAWN), 1: short(9.0, DRAWN)})}
    assert (found["labels read at the end"].value, found["labels read at the end"].samples) == (0.8, 10)
    assert (found["detail / drawn"].value, found["detail / drawn"].samples) == (0.5, 1)


def tables() -> list[Ablation]:
    outcomes = [
        Outcome(called=called, says="a < b", weights="abc", shot=shot, figures=switch_figures(shot, SHOT_DRAWN))
        for called, shot in (("recache", SHOT), ("drawn", SHOT_DRAWN))
    ]
    shot = {0: long(motion=1.0)}
    one = Outcome(called="with sink", says="", weights="abc", shot=shot, figures=long_figures(shot))
    return [
        Ablation(name="switch", asks="At a switch?", outcomes=outcomes, missing={}),
        Ablation(name="sink", asks="Sink?", outcomes=[one], missing={"without": "no room"}),
    ]


def test_tables_say_everything() -> None:
    first, second = tables()
    lines = markdown(first).splitlines()
    assert lines[:4] == ["### At a switch?", "", "| | recache | drawn |", "|---|---|---|"]
    assert "| place read after 1 s | 0.50 (0.15 to 0.85), 4 | 1.00 (0.51 to 1.00), 4 |" in lines
    assert "- *recache*: a < b; 4 takes, weights abc." in lines
    assert "- *without* was not measured: no room." in markdown(second)
    value = as_json(first)
    assert value["conditions"][0]["figures"][0] == {  # type: ignore[index]
        "name": "place read after 1 s", "value": 0.5, "interval_95": pytest.approx((0.15, 0.85), abs=1e-2), "of": 4,
    }  # fmt: skip


def test_the_page_and_the_plots() -> None:
    html = ablations_page("A & B", ["weights x"], tables())
    assert "A &amp; B" in html
    assert "a &lt; b" in html
    assert html.count("<svg") == 6
    made = plots(tables()[0])
    assert list(made) == ["switch-place", "switch-actor"]
    root = ET.fromstring(standalone(made["switch-place"]))
    lines = root.findall(".//{http://www.w3.org/2000/svg}polyline")
    assert [len(line.attrib["points"].split()) for line in lines] == [20, 20]
