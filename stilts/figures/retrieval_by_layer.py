"""Figure: retrieval by the layer whose states are compared."""

from __future__ import annotations

from typing import Any

from stilts.figures.source import Absent, Figure, Row, Source, number, place
from stilts.figures.style import WIDTH, chart, faded, legend_choice, marks_of, numeric, select, told

NAME, TITLE = "retrieval_by_layer", "Retrieval by layer"


def retrieval_by_layer(source: Source) -> Figure | Absent:
    """Return the figure from tables/retrieval_layers.csv, at the uncut budget point."""
    found = [r for r in source.rows("tables/retrieval_layers.csv") if r["mean"] and r["recipe"] in source.shown]
    if not found:
        return Absent(NAME, TITLE, "the study retrieves no sentences")
    first = next(p for p in source.points if any(place(r) == p for r in found))
    shown = [r for r in found if place(r) == first]
    cells = [_cell(r) for r in shown]
    sets = list(dict.fromkeys(c["set"] for c in cells))
    caption = (
        "Mean over languages and seeds by layer (0: embeddings); line: one standard deviation over seeds. The layer "
        "that enters averages is fixed in the configuration, never chosen on test sets: ring."
    )
    columns = ("table", "line", "recipe", "target", "pooling", "layer", "mean", "sd", "difference")
    rows = [[r[c] for c in columns] for r in shown]
    here = [c for c in cells if c["set"] == sets[0]]
    tops = {
        r: max((c for c in here if c["recipe"] == r), key=lambda c: c["mean"]) for r in source.shown if _in(here, r)
    }
    said = ", ".join(f"{r} {c['mean']:.1f} at layer {c['layer']}" for r, c in list(tops.items())[:8])
    alt = f"Retrieval of {sets[0]} over layers; highest: {said}."
    body = _body(source, cells, sets)
    return Figure(NAME, TITLE, caption, alt, chart(TITLE, source.subtitle, alt, body), columns, rows)


def _in(cells: list[dict[str, Any]], recipe: str) -> bool:
    return any(c["recipe"] == recipe for c in cells)


def _cell(row: Row) -> dict[str, Any]:
    mean, sd = number(row["mean"]), number(row["sd"])
    return {
        "recipe": row["recipe"], "set": f"{row['target']}, {row['pooling']} pooling", "layer": int(row["layer"]),
        "mean": mean, "low": None if sd is None else mean - sd, "high": None if sd is None else mean + sd,
        "difference": number(row["difference"]), "headline": row["headline"] == "yes",
    }  # fmt: skip


def _body(source: Source, cells: list[dict[str, Any]], sets: list[str]) -> dict[str, Any]:
    marks = marks_of([r for r in source.shown if _in(cells, r)], source.ranked)
    x = numeric("layer", "layer", axis={"tickMinStep": 1, "format": "d"})
    y = numeric("mean", "score (0 to 100)", scale={"zero": True})
    both = {"x": x, "color": marks["color"], "opacity": faded()}
    seen = told(recipe="recipe", layer="layer", mean="score", difference="difference to none")
    return {
        "width": WIDTH, "height": 240, "data": {"values": cells},
        "params": [select("pick_set", "sentences", sets)],
        "transform": [{"filter": "datum.set == pick_set"}],
        "layer": [
            {"mark": {"type": "rule"}, "encoding": {**both, "y": numeric("low", y["title"]), "y2": {"field": "high"}}},
            {"mark": {"type": "line", "strokeWidth": 2},
             "encoding": {**both, "y": y, "strokeDash": marks["strokeDash"]}},
            {"transform": [{"filter": "datum.headline"}],
             "mark": {"type": "point", "size": 190, "filled": False, "strokeWidth": 1.2}, "encoding": {**both, "y": y}},
            {"params": [legend_choice()], "mark": {"type": "point", "filled": True, "size": 60}, "encoding": {
                **both, "y": y, "shape": marks["shape"], "tooltip": seen}},
        ],
    }  # fmt: skip
