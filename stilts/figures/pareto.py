"""Figure: every configuration by what it costs and scores, and those that none beats."""

from __future__ import annotations

from typing import Any

from stilts.budget.curves import OVERALL
from stilts.figures.source import Absent, Figure, Row, Source, number, target_name
from stilts.figures.style import WIDTH, chart, faded, legend_choice, marks_of, numeric, select, told

NAME, TITLE = "pareto", "Score and cost of every configuration"


def pareto(source: Source) -> Figure | Absent:
    """Return the figure from curves/pareto.csv."""
    found = [r for r in source.rows("curves/pareto.csv") if r["score"] and r["budget"]]
    if len({r["budget"] for r in found}) < 2:
        return Absent(NAME, TITLE, "all configurations of the study cost the same")
    cells = [_cell(r) for r in found]
    known = {c["target"] for c in cells}
    targets = [t for t in map(target_name, (OVERALL, *source.targets)) if t in known]
    caption = (
        "Mean over seeds of the score in the other languages of every backbone, budget point and recipe. "
        "Lines and full marks: the front of a recipe, where none of its configurations scores more for the same cost "
        "or less. Fronts are picked by test scores: a picture of what is there, not a way to choose."
    )
    columns = ("table", "line", "recipe", "target", "backbone", "point", "budget", "score", "on_front")
    rows = [[r[c] for c in columns] for r in found]
    here = [c for c in cells if c["target"] == targets[0] and c["front"]]
    said = ", ".join(f"{c['recipe']} {c['score']:.1f}" for c in here if c["budget"] == max(c["budget"] for c in here))
    alt = f"Score and cost of {len(cells)} configurations; at the highest cost on {targets[0]}: {said}."
    return Figure(
        NAME, TITLE, caption, alt, chart(TITLE, source.subtitle, alt, _body(source, cells, targets)), columns, rows
    )


def _cell(row: Row) -> dict[str, Any]:
    return {
        "recipe": row["recipe"], "target": target_name(row["target"]), "budget": number(row["budget"]),
        "score": number(row["score"]), "front": row["on_front"] == "yes",
        "configuration": f"{row['backbone']}, {row['point']}",
    }  # fmt: skip


def _body(source: Source, cells: list[dict[str, Any]], targets: list[str]) -> dict[str, Any]:
    marks = marks_of(source.recipes, source.ranked)
    budgets = [c["budget"] for c in cells]
    span = {"type": "log", "domain": [min(budgets) * 0.95, max(budgets) * 1.05], "nice": False}
    words = f"cost: {source.budget_words} (log scale)"
    x = numeric("budget", words, scale=span, axis={"format": "~g", "labelOverlap": "greedy"})
    y = numeric("score", "score (0 to 100)", scale={"zero": False})
    seen = told(recipe="recipe", configuration="configuration", budget="cost", score="score")
    both = {"x": x, "y": y}
    return {
        "width": WIDTH, "height": 260, "data": {"values": cells},
        "params": [select("pick_target", "target", targets)],
        "transform": [{"filter": "datum.target == pick_target"}],
        "layer": [
            {"transform": [{"filter": "datum.front"}],
             "mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 1.6},
             "encoding": {**both, "color": marks["color"], "strokeDash": marks["strokeDash"], "opacity": faded()}},
            {"params": [legend_choice()], "mark": {"type": "point", "strokeWidth": 1.8}, "encoding": {
                **both, "color": marks["color"], "shape": marks["shape"], "opacity": faded(), "tooltip": seen,
                "size": {"condition": {"test": "datum.front", "value": 110}, "value": 45},
                "fill": {"condition": {"test": "datum.front", **marks["color"]}, "value": "transparent"}}},
        ],
    }  # fmt: skip
