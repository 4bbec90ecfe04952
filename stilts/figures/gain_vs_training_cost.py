"""Figure: what a recipe gains over the baseline, and what its intermediate training cost."""

from __future__ import annotations

from collections import defaultdict
from statistics import fmean
from typing import Any

from stilts.budget.curves import OVERALL
from stilts.figures.source import BASELINE, Absent, Figure, Source, minus, number, short, signed, target_name
from stilts.figures.style import WIDTH, chart, marks_of, numeric, select, told

NAME, TITLE = "gain_vs_training_cost", "Gain and cost of intermediate training"
UNITS = ((1e18, "exaFLOPs"), (1e15, "petaFLOPs"), (1e12, "teraFLOPs"), (1e9, "gigaFLOPs"))


def gain_vs_training_cost(source: Source) -> Figure | Absent:
    """Return the figure from claims.csv and training_costs.csv."""
    costs = _costs(source)
    found = [r for r in source.rows("claims/claims.csv") if r["difference"] and r["recipe"] in costs]
    budgets = sorted({float(r["budget"]) for r in found if not r["budget"].startswith("window")})
    if not budgets:
        return Absent(NAME, TITLE, f"no trained recipe can be compared with {BASELINE}")
    shown = [r for r in found if not r["budget"].startswith("window") and float(r["budget"]) == budgets[-1]]
    cells = [_cell(r, costs[r["recipe"]]) for r in shown]
    known = {c["target"] for c in cells}
    targets = [t for t in map(target_name, (OVERALL, *source.targets)) if t in known]
    caption = (
        f"Paired difference to the recipe none at {source.budget_name(str(budgets[-1]))} with its {source.level} "
        "interval, over the FLOPs of the recipe’s intermediate training, what it starts from included (mean over "
        "seeds). Pretraining and target training are the same for all recipes and left out."
    )
    columns = ("table", "line", "recipe", "target", "flops", "difference", "low", "high")
    rows = [[r["table"], r["line"], r["recipe"], r["target"], short(costs[r["recipe"]]),
             *(r[k] for k in columns[5:])] for r in shown]  # fmt: skip
    here = [c for c in cells if c["target"] == targets[0]]
    said = ", ".join(f"{c['recipe']} {signed(c['difference'])} for {c['flops']:.2g} FLOPs" for c in here[:8])
    alt = f"Gain over none and FLOPs of intermediate training, {targets[0]}: {said}."
    body = _body(source, cells, targets)
    return Figure(NAME, TITLE, caption, alt, chart(TITLE, source.subtitle, alt, body), columns, rows)


def _costs(source: Source) -> dict[str, float]:
    """Return recipe -> mean FLOPs over seeds of its intermediate training and of all that it starts from."""
    own: dict[str, dict[str, float]] = defaultdict(dict)
    for row in source.rows("costs/training_costs.csv"):
        if row["phase"] == "intermediate" and number(row["flops"]) and row["backbone"] == source.backbones[0]:
            own[row["recipe"]][row["seed"]] = float(row["flops"])
    before = source.spec["starts"]

    def whole(recipe: str) -> float | None:
        if recipe == BASELINE:
            return 0.0
        earlier = whole(before.get(recipe, BASELINE))
        return None if recipe not in own or earlier is None else fmean(own[recipe].values()) + earlier

    found = {r: whole(r) for r in source.recipes if r != BASELINE}
    return {r: cost for r, cost in found.items() if cost}


def _cell(row: dict[str, str], flops: float) -> dict[str, Any]:
    value, low, high = (number(row[k]) for k in ("difference", "low", "high"))
    known = low is not None and high is not None
    return {
        "recipe": row["recipe"], "target": target_name(row["target"]), "flops": short(flops), "difference": value,
        "low": low, "high": high, "interval": f"{minus(low)}, {minus(high)}" if known else "",
    }  # fmt: skip


def _body(source: Source, cells: list[dict[str, Any]], targets: list[str]) -> dict[str, Any]:
    marks = marks_of(source.recipes, source.ranked)
    flops = [c["flops"] for c in cells]
    span = {"type": "log", "domain": [short(min(flops) * 0.8), short(max(flops) * 1.25)], "nice": False}
    size, unit = next(((s, u) for s, u in UNITS if max(flops) >= s), UNITS[-1])
    axis = {"labelExpr": f"format(datum.value / {size:g}, '~g')", "labelOverlap": "greedy", "tickCount": 6}
    x = numeric("flops", f"{unit} of intermediate training (log scale)", scale=span, axis=axis)
    title = "difference to none, points"
    both = {"x": x, "color": {**marks["color"], "legend": None}}
    seen = told(recipe="recipe", difference="difference", interval="interval", flops="FLOPs")
    shape = {**marks["shape"], "legend": None}  # names stand beside the marks
    return {
        "width": WIDTH, "height": 240, "data": {"values": cells},
        "params": [select("pick_target", "target", targets)],
        "transform": [{"filter": "datum.target == pick_target"}],
        "layer": [
            {"data": {"values": [{}]}, "mark": {"type": "rule", "color": "#6b6b6b"}, "encoding": {"y": {"datum": 0}}},
            {"mark": {"type": "rule", "strokeWidth": 1.6}, "encoding": {
                **both, "y": numeric("low", title), "y2": {"field": "high"}}},
            {"mark": {"type": "point", "filled": True, "size": 90}, "encoding": {
                **both, "y": numeric("difference", title), "shape": shape, "tooltip": seen}},
            {"mark": {"type": "text", "align": "left", "dx": 8, "dy": -7, "fontSize": 11}, "encoding": {
                "x": x, "y": numeric("difference", title), "text": {"field": "recipe"}}},
        ],
    }  # fmt: skip
