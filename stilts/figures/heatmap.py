"""Figure: recipes by targets, the difference to the baseline with its interval, at a chosen budget."""

from __future__ import annotations

from typing import Any

from stilts.budget.curves import OVERALL
from stilts.figures.source import BASELINE, MEAN, Absent, Figure, Source, minus, number, short, signed, target_name
from stilts.figures.style import DIVERGING, WIDTH, chart, select, told

NAME, TITLE = "heatmap", "Difference to no intermediate training"
ROW, LOW = 40, 24  # pixels of a row with intervals, and without
LETTER = 6  # pixels of a letter of a recipe's name
MANY = 8  # targets beside which no interval is readable in its cell


def heatmap(source: Source) -> Figure | Absent:
    """Return the figure from claims.csv."""
    found = [r for r in source.rows("claims/claims.csv") if r["recipe"] in source.recipes]
    if not any(r["difference"] for r in found):
        return Absent(NAME, TITLE, f"no recipe can be compared with {BASELINE}")
    budgets = list(dict.fromkeys(r["budget"] for r in found))
    budgets.sort(key=lambda b: (b.startswith("window"), 0.0 if b.startswith("window") else -float(b)))
    cells = [_cell(source, r) for r in found]
    caption = (
        "Paired difference to the recipe none over seeds, in points of the mean over the other languages; below it "
        f"(or, where there is no room, in the rows) the {source.level} interval (docs/claims.md), before correction "
        "for the number of tests. "
        "Frame: the difference holds after Holm’s correction over targets and budgets of its recipe. "
        "A dash: no value."
    )
    columns = ("table", "line", "recipe", "target", "budget", "difference", "low", "high", "p_holm", "note")
    rows = [[r["table"], r["line"], *(r[c] for c in columns[2:])] for r in found]
    first = [c for c in cells if c["budget"] == budgets[0]]
    alt = _alt(source, first, source.budget_name(budgets[0]))
    below = "" if _dense(cells) else f", below them the {source.level} interval"
    subtitle = [*source.subtitle, f"Points{below}; framed: holds after Holm’s correction"]
    body = _body(source, cells, budgets)
    return Figure(NAME, TITLE, caption, alt, chart(TITLE, subtitle, alt, body), columns, rows)


def _cell(source: Source, row: dict[str, str]) -> dict[str, Any]:
    value, low, high = (number(row[k]) for k in ("difference", "low", "high"))
    holds = bool(row["p_holm"]) and float(row["p_holm"]) < float(source.how["alpha"])
    return {
        "recipe": row["recipe"], "target": target_name(row["target"]), "budget": row["budget"], "difference": value,
        "text": "–" if value is None else signed(value),
        "interval": "" if low is None or high is None else f"{minus(low)}, {minus(high)}",
        "p_holm": number(row["p_holm"]), "holds": holds, "note": row["note"],
    }  # fmt: skip


def _dense(cells: list[dict[str, Any]]) -> bool:
    return len({c["target"] for c in cells}) > MANY


def _alt(source: Source, cells: list[dict[str, Any]], budget: str) -> str:
    means = [c for c in cells if c["target"] == MEAN and c["difference"] is not None]
    said = ", ".join(f"{c['recipe']} {c['text']} ({c['interval'] or 'no interval'})" for c in means[:8])
    holds = [f"{c['recipe']} on {c['target']}" for c in cells if c["holds"]]
    sure = f"{len(holds)} of {len(cells)} differences hold after correction"
    return f"Difference to none by recipe and target at {budget}, in points: {said or 'no mean'}; {sure}."


def _body(source: Source, cells: list[dict[str, Any]], budgets: list[str]) -> dict[str, Any]:
    known = {c["target"] for c in cells}
    targets = [t for t in map(target_name, (OVERALL, *source.targets)) if t in known]
    recipes = [r for r in source.recipes if any(c["recipe"] == r for c in cells)]
    largest = short(max(abs(c["difference"]) for c in cells if c["difference"] is not None) or 1.0)
    head = {"labelAngle": 0, "labelLimit": 0, "orient": "top", "domain": False, "ticks": False, "grid": False}
    head["labelExpr"] = f"datum.label == '{MEAN}' ? 'all targets' : datum.label"
    x = {"field": "target", "type": "nominal", "sort": targets, "title": None, "axis": head}
    side = {"domain": False, "ticks": False, "grid": False, "labelLimit": 160}
    y = {"field": "recipe", "type": "nominal", "sort": recipes, "title": None, "axis": side}
    dense = _dense(cells)
    if dense:
        head["labelAngle"] = -60
    colour = {
        "field": "difference", "type": "quantitative",
        "scale": {"domain": [-largest, largest], "range": DIVERGING, "interpolate": "lab"},
        "legend": {"title": "points", "orient": "right",
                   "labelExpr": "datum.value == 0 ? '0' : format(datum.value, '+.0f')",
                   "gradientLength": min(160, (LOW if dense else ROW) * len(recipes))},
    }  # fmt: skip
    # Ink that stands out from the cell: white only on the dark ends.
    ink = {
        "condition": {"test": f"abs(datum.difference) > {short(0.72 * largest)}", "value": "white"},
        "value": "#1d2327",
    }
    seen = told(recipe="recipe", target="target", text="difference", interval="interval", p_holm="p after Holm")
    seen.append({"field": "note", "title": "note"})
    layers = [
        {"mark": {"type": "rect", "stroke": "white", "strokeWidth": 2}, "encoding": {"color": colour, "tooltip": seen}},
        {"transform": [{"filter": "datum.holds"}],
         "mark": {"type": "rect", "fill": "transparent", "stroke": "#1d2327", "strokeWidth": 2}},
        {"mark": {"type": "text", "dy": 0 if dense else -6, "fontSize": 9 if dense else 12,
                  "fontWeight": "normal" if dense else "bold"},
         "encoding": {"text": {"field": "text"}, "color": ink}},
    ]  # fmt: skip
    if not dense:
        small = {"type": "text", "dy": 8, "fontSize": 10}
        layers.append({"mark": small, "encoding": {"text": {"field": "interval"}, "color": ink}})
    return {
        "width": WIDTH - max(60, LETTER * max(map(len, recipes))), "height": {"step": LOW if dense else ROW},
        "data": {"values": cells},
        "params": [select("pick_budget", "budget", budgets, [source.budget_name(b) for b in budgets])],
        "transform": [{"filter": "datum.budget == pick_budget"}],
        "encoding": {"x": x, "y": y}, "layer": layers,
    }  # fmt: skip
