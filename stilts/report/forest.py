"""The picture beside the answer: mean differences with their intervals, one line a recipe, one block a budget."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup, escape

from stilts.report.answer import Row, signed
from stilts.report.budget import affords, budgets_of, interval, sure
from stilts.report.tables import OVERALL

MOST = 8  # recipes that a block shows
WIDTH, LINE, LABELS, NUMBERS = 420, 26, 112, 52
TONES = {1: "up", 0: "open", -1: "down"}


def forest(claims: Sequence[Row], how: dict[str, Any]) -> Markup:
    """Return an SVG of the rows of table `claims` that are means over all targets; empty where none has an interval.

    how: the settings `budget`. A filled mark holds after correction, a hollow one is open.
    """
    rows = [r for r in claims if r["target"] == OVERALL and r["low"] and r["high"]]
    blocks = [(b, _chosen([r for r in rows if r["budget"] == b])) for b in budgets_of(rows)]
    shown = [r for _, block in blocks for r in block]
    if not shown:
        return Markup("")
    low, high = min(0.0, *(float(r["low"]) for r in shown)), max(0.0, *(float(r["high"]) for r in shown))
    scale = (WIDTH - LABELS - NUMBERS) / ((high - low) or 1.0)

    def x(value: float) -> float:
        return round(LABELS + (value - low) * scale, 1)

    parts, y = [], 4
    for budget, block in blocks:
        y += LINE
        parts.append(f'<text class="head" x="0" y="{y - 8}">{escape(affords(budget, how))}</text>')
        parts.append(f'<line class="zero" x1="{x(0)}" x2="{x(0)}" y1="{y}" y2="{y + LINE * len(block)}"/>')
        for row in block:
            y += LINE
            parts.append(_line(row, x, y - LINE / 2, sure(row, float(how["alpha"]))))
    y += LINE
    parts.append(f'<text class="tick" x="{x(0)}" y="{y - 8}" text-anchor="middle">0 points</text>')
    said = ", ".join(f"{r['recipe']} {signed(r['difference'])} {interval(r)}" for _, block in blocks[:1] for r in block)
    title = f"Mean difference to no intermediate training, in points, with intervals: {said}"
    head = f'<svg class="forest" viewBox="0 0 {WIDTH} {y}" role="img" aria-label="{escape(title)}">'
    return Markup(f"{head}{''.join(parts)}</svg>")


def _chosen(rows: Sequence[Row]) -> list[Row]:
    """Return the rows with the largest differences either way, the highest first."""
    most = sorted(rows, key=lambda r: -abs(float(r["difference"])))[:MOST]
    return sorted(most, key=lambda r: -float(r["difference"]))


def _line(row: Row, x: Any, y: float, sign: int) -> str:
    ends = " ".join(f'x{n}="{x(float(row[k]))}"' for n, k in ((1, "low"), (2, "high")))
    name = row["recipe"] if len(row["recipe"]) < 16 else row["recipe"][:14] + "…"
    return (
        f'<text x="0" y="{y + 5}">{escape(name)}</text>'
        f'<line class="{TONES[sign]}" {ends} y1="{y}" y2="{y}"/>'
        f'<circle class="{TONES[sign]}" cx="{x(float(row["difference"]))}" cy="{y}" r="5"/>'
        f'<text class="{TONES[sign]}" x="{WIDTH}" y="{y + 5}" text-anchor="end">{signed(row["difference"])}</text>'
    )
