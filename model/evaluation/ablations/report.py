"""The page and the plots of the ablations."""

from collections.abc import Mapping, Sequence
from html import escape

from longtake.model.evaluation.ablations.tables import Ablation, Outcome, cell
from longtake.model.evaluation.figures import mean
from longtake.model.evaluation.page import document
from longtake.model.evaluation.plots import Line, bar_plot, line_plot


def plots(ablation: Ablation) -> dict[str, str]:
    """Return the plots of an ablation as SVG by name; what has no figures is left out."""
    shown = [outcome for outcome in ablation.outcomes if outcome.figures]
    made = {
        "switch": lambda: {
            "place": line_plot("Place read after the switch, share of takes", _series(shown, "place"), "s"),
            "actor": line_plot("Actor read after the switch, share of takes", _series(shown, "actor"), "s"),
        },
        "sink": lambda: _along(shown),
        "long": lambda: _along(shown),
        "steps": lambda: _bars(shown),
        "precision": lambda: _bars(shown),
    }[ablation.name]()
    return {f"{ablation.name}-{name}": svg for name, svg in made.items() if svg}


def ablations_page(title: str, facts: Sequence[str], ablations: Sequence[Ablation]) -> str:
    """Return one HTML page with all tables and plots, which fetches nothing."""
    body = [f"<h1>{escape(title)}</h1>", *(f"<p>{escape(fact)}</p>" for fact in facts)]
    for ablation in ablations:
        body += [_table(ablation), *plots(ablation).values()]
        body += [
            f"<p>{escape(o.called)}: {escape(o.says)} (weights {escape(o.weights)})</p>" for o in ablation.outcomes
        ]
        body += [f"<p>{escape(name)}: {escape(reason)}</p>" for name, reason in ablation.missing.items()]
    return document(title, body)


def _along(shown: Sequence[Outcome]) -> dict[str, str]:
    labels: dict[str, Line] = {}
    for outcome in shown:
        samples = list(outcome.shot.values())
        kinds = [name for name in samples[0].series if name.startswith("read ")]
        if kinds:
            rows = [[mean([s.series[kind][at] for kind in kinds]) for s in samples] for at in _range(samples[0].series)]
            labels[outcome.called] = (samples[0].series["seconds"], [mean(row) for row in rows])
    return {
        "labels": line_plot("Labels read, share", labels, "s"),
        "detail": line_plot("Detail over that at 5 s", _series(shown, "detail", first=True), "s"),
        "motion": line_plot("Motion over that at 5 s", _series(shown, "motion", first=True), "s"),
        "colour": line_plot("Mean colour's distance from that at 5 s, of 255", _series(shown, "colour"), "s"),
    }


def _bars(shown: Sequence[Outcome]) -> dict[str, str]:
    values = {o.called: {figure.name: figure.value for figure in o.figures} for o in shown}
    return {
        name.split()[0]: bar_plot(name, {called: found[name] for called, found in values.items() if name in found})
        for name in ("labels read at the end", "detail / drawn", "motion / drawn")
    }


def _series(shown: Sequence[Outcome], name: str, *, first: bool = False) -> dict[str, Line]:
    """Return a series, averaged over takes, of every outcome; with `first`, each take's over its own first value."""
    lines: dict[str, Line] = {}
    for outcome in shown:
        samples = list(outcome.shot.values())
        rows = [[s.series[name][at] / (max(s.series[name][0], 1e-12) if first else 1) for s in samples]
                for at in _range(samples[0].series)]  # fmt: skip
        lines[outcome.called] = (samples[0].series["seconds"], [mean(row) for row in rows])
    return lines


def _range(series: Mapping[str, Sequence[float]]) -> range:
    return range(len(series["seconds"]))


def _table(ablation: Ablation) -> str:
    shown = [outcome for outcome in ablation.outcomes if outcome.figures]
    head = "".join(f"<th>{escape(outcome.called)}</th>" for outcome in shown)
    rows = []
    for row in ablation.rows:
        found = [next((f for f in outcome.figures if f.name == row), None) for outcome in shown]
        cells = "".join(f"<td>{cell(figure) if figure else ''}</td>" for figure in found)
        rows.append(f"<tr><td>{escape(row)}</td>{cells}</tr>")
    return f"<h2>{escape(ablation.asks)}</h2><table><tr><th></th>{head}</tr>{''.join(rows)}</table>"
