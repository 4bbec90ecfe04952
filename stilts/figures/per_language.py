"""Figure: every language of a target, a mark for each recipe."""

from __future__ import annotations

from typing import Any

from stilts.figures.source import Absent, Figure, Source, number, place
from stilts.figures.style import WIDTH, chart, faded, legend_choice, marks_of, numeric, select, told

NAME, TITLE = "per_language", "Score by language"
ROW = 26  # pixels


def per_language(source: Source) -> Figure | Absent:
    """Return the figure from tables/languages.csv: the uncut budget point, the headline protocol."""
    headline = source.headlines()
    found = [
        r
        for r in source.rows("tables/languages.csv")
        if r["role"] == "recipe" and r["mean"] and headline.get((*place(r), r["target"])) == r["protocol"]
    ]
    if not found:
        return Absent(NAME, TITLE, "no score by language is complete")
    points = [p for p in source.points if any(place(r) == p for r in found)][:1]
    metrics = {t: next(r["metric"] for r in found if r["target"] == t) for t in source.targets if _has(found, t)}
    shown = [r for r in found if place(r) in points and r["metric"] == metrics.get(r["target"])]
    cells = [_cell(r) for r in shown]
    targets = [t for t in metrics if any(c["target"] == t for c in cells)]
    caption = (
        "Mean test score over seeds of every language at the uncut budget point, "
        "in the first metric of the headline protocol; line: one standard deviation over seeds to either side. "
        "The source language comes first."
    )
    columns = ("table", "line", "recipe", "target", "language", "metric", "mean", "sd", "difference")
    rows = [[r[c] for c in columns] for r in shown]
    best = {c["language"] for c in cells if c["target"] == targets[0] and not c["source"]}
    alt = f"Scores of {len(best)} other languages and the source language by recipe, first {targets[0]}, in percent."
    subtitle = [*source.subtitle, "Mean over seeds; line: standard deviation"]
    return Figure(
        NAME, TITLE, caption, alt, chart(TITLE, subtitle, alt, _body(source, cells, targets, metrics)), columns, rows
    )


def _has(found: list[dict[str, str]], target: str) -> bool:
    return any(r["target"] == target for r in found)


def _cell(row: dict[str, str]) -> dict[str, Any]:
    mean, sd, difference = (number(row[k]) for k in ("mean", "sd", "difference"))
    name = row["name"] if row["name"] in ("", row["language"]) else f"{row['name']} ({row['language']})"
    return {
        "recipe": row["recipe"], "target": row["target"], "language": name or row["language"], "mean": mean,
        "low": None if sd is None else max(mean - sd, 0), "high": None if sd is None else min(mean + sd, 100),
        "difference": difference,
        "source": row["is_source"] == "yes",
    }  # fmt: skip


def _body(source: Source, cells: list[dict[str, Any]], targets: list[str], metrics: dict[str, str]) -> dict[str, Any]:
    first = {c["language"] for c in cells if c["source"]}
    order = [*sorted(first), *sorted({c["language"] for c in cells} - first)]
    marks = marks_of(source.recipes, source.ranked)
    # Recipes stand a little below each other, so that equal scores are seen.
    place = {"field": "recipe", "type": "nominal", "sort": source.recipes}
    y = {"field": "language", "type": "nominal", "sort": order, "title": None,
         "axis": {"grid": True, "labelLimit": 200, "bandPosition": 0.5}}  # fmt: skip
    both = {"y": y, "yOffset": place, "color": marks["color"], "opacity": faded()}
    seen = told(language="language", recipe="recipe", mean="score", difference="difference to none")
    x = numeric("mean", "score (0 to 100)", scale={"zero": False})
    labels = [f"{t} ({metrics[t].replace('_', ' ')})" for t in targets]
    return {
        "width": WIDTH - 60, "height": {"step": ROW, "for": "position"}, "data": {"values": cells},
        "params": [select("pick_target", "target", targets, labels)],
        "transform": [{"filter": "datum.target == pick_target"}],
        "layer": [
            {"mark": {"type": "rule", "strokeWidth": 1.2}, "encoding": {
                **both, "x": numeric("low", x["title"], scale={"zero": False}), "x2": {"field": "high"}}},
            {"params": [legend_choice()], "mark": {"type": "point", "filled": True, "size": 50}, "encoding": {
                **both, "x": x, "shape": marks["shape"], "tooltip": seen}},
        ],
    }  # fmt: skip
