"""The report of an evaluation: one HTML page that holds everything it shows."""

import base64
import math
from collections.abc import Mapping, Sequence
from html import escape

from longtake.model.evaluation.figures import DRAWN, GENERATED, Figure, Sample, mean
from longtake.model.evaluation.plots import bar_plot, line_plot
from longtake.model.evaluation.strips import Shown, jpeg, strip

STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;margin:2em auto;max-width:1240px;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;margin:1em 0}th,td{padding:.2em .8em;text-align:right;border-bottom:1px solid #ddd}"
    "th:first-child,td:first-child{text-align:left}.met{color:#15803d}.missed{color:#b91c1c;font-weight:600}"
    "img{max-width:100%;display:block;margin:.3em 0 1.2em}svg{margin:.5em 1em .5em 0}"
    "svg text{font:11px system-ui,sans-serif;fill:#333}svg .t{font-weight:600;font-size:13px}"
)
COLUMNS = ("figure", "generated", "95 % interval", "of", "autoencoder", "drawn", "goal", "")


def page(
    title: str,
    facts: Sequence[str],
    figures: Sequence[Figure],
    samples: Mapping[str, Sequence[Sample]],
    shown: Sequence[Shown],
) -> str:
    """Return the page.

    Args:
        title: the heading.
        facts: lines below it: weights, device, what was not measured.
        figures: all figures; those of parts get a table of their own.
        samples: what the plots are made from, by measure.
        shown: scenes to show as strips.
    """
    whole, parts = [f for f in figures if not f.part], [f for f in figures if f.part]
    body = [f"<h1>{escape(title)}</h1>", *(f"<p>{escape(fact)}</p>" for fact in facts)]
    body += [_table("Figures", whole), *plots(figures, samples), _table("By place and weather", parts)]
    if shown:
        body.append("<h2>Scenes</h2>")
    body += [_picture(scene) for scene in shown]
    return document(title, body)


def document(title: str, body: Sequence[str]) -> str:
    """Return a page of HTML with the report's style."""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head><body>{''.join(body)}</body></html>\n"
    )


def plots(figures: Sequence[Figure], samples: Mapping[str, Sequence[Sample]]) -> list[str]:
    """Return the plots that the samples allow."""
    found = []
    for name, goal in (("detail / drawn", 0.9), ("motion / drawn", 0.8)):
        bars = {f.part: f.value for f in figures if f.part and f.name == name}
        found.append(bar_plot(name, bars, goal))
    drifts = samples.get("drift", ())
    for what in ("detail", "motion", "colour"):
        lines = {
            f"{s.tags.get('place', '')}, {s.tags.get('weather', '')} {index + 1}":
                (s.series["seconds"], _against_first(s.series[what]) if what != "colour" else s.series[what])
            for index, s in enumerate(drifts)
        }  # fmt: skip
        unit = "mean colour's distance, of 255" if what == "colour" else f"{what} against the first"
        found.append(line_plot(f"Drift: {unit}", lines, "s"))
    steered = samples.get("actions", ())
    if steered:
        lines = {}
        for source in (GENERATED, DRAWN):
            rows = [s.series[f"{source} x"] for s in steered]
            ys = [mean(column) for column in zip(*rows, strict=True)]
            lines[source] = (list(map(float, range(1, len(ys) + 1))), [-y for y in ys])
        found.append(line_plot("Steered: forward flow, units a block", lines, "blocks"))
    return found


def _against_first(values: Sequence[float]) -> list[float]:
    return [value / max(values[0], 1e-12) for value in values]


def _table(title: str, figures: Sequence[Figure]) -> str:
    if not figures:
        return ""
    head = "".join(f"<th>{column}</th>" for column in COLUMNS)
    return f"<h2>{title}</h2><table><tr>{head}</tr>{''.join(_row(figure) for figure in figures)}</table>"


def _row(figure: Figure) -> str:
    low, high = figure.interval
    cells = [
        escape(f"{figure.name}, {figure.part}" if figure.part else figure.name),
        _number(figure.value),
        f"{low:.2f} to {high:.2f}" if math.isfinite(low) else "",
        str(figure.samples),
        _number(figure.through),
        _number(figure.drawn),
        escape(str(figure.goal or "")),
        f'<span class="{figure.verdict}">{figure.verdict}</span>' if figure.verdict else "",
    ]
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def _picture(shown: Shown) -> str:
    data = base64.b64encode(jpeg(strip(shown))).decode("ascii")
    return f'<h3>{escape(shown.name)}</h3><img alt="{escape(shown.prompt)}" src="data:image/jpeg;base64,{data}">'
