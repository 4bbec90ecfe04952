"""One small static chart: lines over layers, told apart by colour, dash, marker and a label at the end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

WIDTH, HEIGHT, LABEL = 760, 400, 22.0
LEFT, RIGHT, TOP, BOTTOM = 56, 170, 16, 52
DASHES = ("", "8 4", "2 4", "10 3 2 3", "5 5")
MARKERS = ("circle", "square", "triangle", "diamond")


class Line(NamedTuple):
    """One line: its label and its points (layer, percent), in the order of layers."""

    label: str
    points: Sequence[tuple[int, float]]


def layer_chart(lines: Sequence[Line], marked: int, title: str, name: str) -> Markup:
    """Return an SVG of percent over layers; `marked` gets a dotted vertical line; empty when there are no points.

    name: unique in the page, for the ids that label the picture. All text is escaped.
    """
    lines = [line for line in lines if line.points]
    if not lines:
        return Markup("")
    layers = sorted({x for line in lines for x, _ in line.points})
    # A picture tall enough for every label at the right.
    height = max(HEIGHT, int(TOP + LABEL * (len(lines) + 1)))
    top = _ceiling(max(y for line in lines for _, y in line.points))

    def at(layer: float, percent: float) -> tuple[float, float]:
        span = max(layers[-1] - layers[0], 1)
        x = LEFT + (layer - layers[0]) / span * (WIDTH - LEFT - RIGHT)
        return round(x, 1), round(height - BOTTOM - percent / top * (height - TOP - BOTTOM), 1)

    floor, right = height - BOTTOM, WIDTH - RIGHT
    parts = []
    for k in range(5):
        value = top * k / 4
        y = at(layers[0], value)[1]
        parts.append(f'<line class="axis" x1="{LEFT}" x2="{right}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="tick" x="{LEFT - 8}" y="{y + 5}" text-anchor="end">{value:g} %</text>')
    step = max(1, -(-len(layers) // 13))
    for layer in layers[::step]:
        parts.append(f'<text class="tick" x="{at(layer, 0)[0]}" y="{floor + 22}" text-anchor="middle">{layer}</text>')
    parts.append(
        f'<text class="tick" x="{(LEFT + right) / 2}" y="{floor + 45}" text-anchor="middle">hidden state</text>'
    )
    if marked in layers:
        x = at(marked, 0)[0]
        parts.append(f'<line class="mark" x1="{x}" x2="{x}" y1="{TOP}" y2="{floor}"/>')
    labels = _spread([at(*line.points[-1])[1] for line in lines], height - 8.0)
    for number, (line, label_y) in enumerate(zip(lines, labels, strict=True)):
        parts.append(_draw([at(*p) for p in line.points], number, line.label, label_y, right))
    name, body = escape(name), "".join(parts)
    head = f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-labelledby="{name}-t"><title id="{name}-t">'
    return Markup(f"{head}{escape(title)}</title>{body}</svg>")


def _draw(points: list[tuple[float, float]], number: int, label: str, label_y: float, right: int) -> str:
    colour, dash = f"var(--s{number % 8})", DASHES[number % len(DASHES)]
    path = " ".join(f"{x},{y}" for x, y in points)
    line = f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2.2" stroke-dasharray="{dash}"/>'
    marks = "".join(_marker(MARKERS[number % len(MARKERS)], x, y, colour) for x, y in points)
    x, y = points[-1]
    leader = f'<line x1="{x + 6}" y1="{y}" x2="{right + 14}" y2="{label_y}" stroke="{colour}" stroke-width="0.8"/>'
    sign = _marker(MARKERS[number % len(MARKERS)], right + 20, label_y, colour)
    return f'{line}{marks}{leader}{sign}<text x="{right + 30}" y="{label_y + 5}">{escape(label)}</text>'


def _marker(shape: str, x: float, y: float, colour: str) -> str:
    if shape == "circle":
        return f'<circle cx="{x}" cy="{y}" r="4" fill="{colour}"/>'
    if shape == "square":
        return f'<rect x="{x - 3.6:.1f}" y="{y - 3.6:.1f}" width="7.2" height="7.2" fill="{colour}"/>'
    offsets = ((0, -5), (5, 4), (-5, 4)) if shape == "triangle" else ((0, -5), (5, 0), (0, 5), (-5, 0))
    corners = " ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in offsets)
    return f'<polygon points="{corners}" fill="{colour}"/>'


def _spread(wanted: list[float], limit: float, gap: float = LABEL) -> list[float]:
    """Return label heights near the wanted ones, at least `gap` apart, none below `limit`."""
    order = sorted(range(len(wanted)), key=lambda i: wanted[i])
    placed = [0.0] * len(wanted)
    below = TOP + 6.0 - gap
    for i in order:
        placed[i] = below = max(wanted[i], below + gap)
    for i in reversed(order):
        placed[i] = limit = min(placed[i], limit)
        limit -= gap
    return [round(y, 1) for y in placed]


def _ceiling(value: float) -> float:
    return next((float(c) for c in (1, 2, 4, 8, 12, 20, 40, 60, 80) if value <= c), 100.0)
