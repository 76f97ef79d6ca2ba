import math
import re
import xml.etree.ElementTree as ET

from longtake.model.evaluation.figures import DRAWN, GENERATED, Figure, Goal, Sample
from longtake.model.evaluation.page import page
from longtake.model.evaluation.plots import bar_plot, line_plot
from longtake.model.evaluation.strips import show
from longtake.model.evaluation.studio import Studio
from tests.model.evaluation.scrolling import Scroller


def test_a_line_goes_through_its_points_and_skips_what_is_no_number() -> None:
    svg = line_plot("a < b", {"x": ([0.0, 1.0, 2.0], [0.0, math.nan, 4.0])}, "s")
    lines = ET.fromstring(svg).findall(".//polyline")
    assert [len(line.attrib["points"].split()) for line in lines] == [2]
    (left, low), (right, high) = (map(float, p.split(",")) for p in lines[0].attrib["points"].split())
    assert left < right
    assert low > high  # SVG counts from the top
    assert line_plot("none", {"x": ([], [])}, "s") == ""


def test_bars_are_as_long_as_their_values() -> None:
    rects = ET.fromstring(bar_plot("x", {"a": 0.5, "b": 1.0, "none": math.nan}, 0.9)).findall(".//rect")
    widths = [float(rect.attrib["width"]) for rect in rects]
    assert len(widths) == 2
    assert abs(widths[1] - 2 * widths[0]) < 0.2


def test_the_page_holds_everything_and_fetches_nothing() -> None:
    studio = Studio(Scroller(), through=lambda frames: frames)
    shown = list(show(studio, ["day"], seconds=0.5))
    assert set(shown[0].takes) == {"drawn", "through", "generated"}
    figures = [
        Figure(name="detail / drawn", value=0.5, interval=(0.4, 0.6), samples=3, goal=Goal(limit=0.9)),
        Figure(name="detail / drawn", value=0.4, samples=1, part="weather <rain>"),
    ]
    series = {"seconds": [5.0, 10.0], "detail": [1.0, 2.0], "motion": [1.0, 1.0], "colour": [0.0, 1.0]}
    steered = {f"{source} {axis}": [-4.0, -8.0] for source in (GENERATED, DRAWN) for axis in "xy"}
    samples = {"drift": [Sample(series=series)], "actions": [Sample(series=steered)]}
    html = page("A & B", ["weights x"], figures, samples, shown)
    assert "A &amp; B" in html
    assert "weather &lt;rain&gt;" in html
    assert '<span class="missed">missed</span>' in html
    assert html.count("<svg") == 5
    assert html.count("data:image/jpeg;base64,") == 1
    assert not re.findall(r'(?:src|href)="(?!data:)', html)
