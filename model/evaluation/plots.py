"""Plots as SVG text, to stand inside a page that fetches nothing."""

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

COLOURS = ("#c2410c", "#0f766e", "#4338ca", "#a16207", "#be185d", "#15803d", "#475569", "#7c3aed")
WIDTH, HEIGHT = 560, 220
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 130, 26, 30

Line = tuple[Sequence[float], Sequence[float]]
"""x and y of its points"""
Place = Callable[[float, float], tuple[float, float]]


def line_plot(title: str, lines: Mapping[str, Line], x_label: str) -> str:
    """Return an SVG with one line for each name; points that are no numbers are left out."""
    points = {
        name: [(x, y) for x, y in zip(xs, ys, strict=True) if math.isfinite(x) and math.isfinite(y)]
        for name, (xs, ys) in lines.items()
    }
    every = [point for some in points.values() for point in some]
    if not every:
        return ""
    x0, x1 = min(x for x, _ in every), max(x for x, _ in every)
    y0, y1 = min(0.0, *(y for _, y in every)), max(y for _, y in every) or 1.0
    across, up = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM

    def place(x: float, y: float) -> tuple[float, float]:
        return _LEFT + across * (x - x0) / ((x1 - x0) or 1), HEIGHT - _BOTTOM - up * (y - y0) / ((y1 - y0) or 1)

    parts = [f'<text x="{_LEFT}" y="16" class="t">{escape(title)}</text>', *_axes(place, (x0, x1), (y0, y1), x_label)]
    for index, (name, some) in enumerate(points.items()):
        colour = COLOURS[index % len(COLOURS)]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in some))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.6"/>')
        y = _TOP + 14 * index + 8
        parts.append(f'<text x="{WIDTH - _RIGHT + 8}" y="{y}" fill="{colour}">{escape(name)}</text>')
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" role="img">{"".join(parts)}</svg>'


def bar_plot(title: str, bars: Mapping[str, float], goal: float | None = None) -> str:
    """Return an SVG with one horizontal bar for each name, and a line at the goal."""
    bars = {name: value for name, value in bars.items() if math.isfinite(value)}
    if not bars:
        return ""
    most = max(*bars.values(), goal or 0.0, 1e-9)
    left, row = 150, 18
    across, height = WIDTH - left - 60, _TOP + row * len(bars) + 8
    parts = [f'<text x="8" y="16" class="t">{escape(title)}</text>']
    for index, (name, value) in enumerate(bars.items()):
        y = _TOP + row * index
        width = max(0.0, across * value / most)
        parts.append(f'<text x="{left - 6}" y="{y + 12}" text-anchor="end">{escape(name)}</text>')
        parts.append(f'<rect x="{left}" y="{y + 2}" width="{width:.1f}" height="{row - 5}" fill="{COLOURS[1]}"/>')
        parts.append(f'<text x="{left + width + 4:.1f}" y="{y + 12}">{value:.2f}</text>')
    if goal is not None:
        x = left + across * goal / most
        parts.append(f'<path d="M{x:.1f} {_TOP}V{height}" stroke="{COLOURS[0]}" stroke-dasharray="4 3"/>')
    return f'<svg viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" role="img">{"".join(parts)}</svg>'


def standalone(svg: str) -> str:
    """Return a plot as a file of its own has it."""
    style = 'xmlns="http://www.w3.org/2000/svg" font-family="system-ui, sans-serif" font-size="11" fill="#333"'
    return svg.replace("<svg ", f"<svg {style} ", 1)


def _axes(place: Place, xs: tuple[float, float], ys: tuple[float, float], x_label: str) -> list[str]:
    (left, bottom), (right, top) = place(xs[0], ys[0]), place(xs[1], ys[1])
    return [
        f'<path d="M{left:.1f} {top:.1f}V{bottom:.1f}H{right:.1f}" fill="none" stroke="#888"/>',
        f'<text x="{left - 6:.1f}" y="{top + 4:.1f}" text-anchor="end">{ys[1]:.3g}</text>',
        f'<text x="{left - 6:.1f}" y="{bottom:.1f}" text-anchor="end">{ys[0]:.3g}</text>',
        f'<text x="{left:.1f}" y="{bottom + 16:.1f}">{xs[0]:g}</text>',
        f'<text x="{right:.1f}" y="{bottom + 16:.1f}" text-anchor="end">{xs[1]:g} {escape(x_label)}</text>',
    ]
