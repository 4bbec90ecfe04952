"""Figure: training loss over steps, a line for each recipe; dev scores where training judged its checkpoints."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from stilts.errors import UserError
from stilts.figures.source import BASELINE, Absent, Figure, Source, short
from stilts.figures.style import WIDTH, chart, faded, legend_choice, marks_of, numeric, select, told

NAME, TITLE = "training_curves", "Training curves"
BINS = 40  # points of a line: a loss is the mean over the steps of its bin
Line = dict[int, list[tuple[int, float]]]  # bin -> (step, value)


def training_curves(source: Source, models: Path) -> Figure | Absent:
    """Return the figure from the history.jsonl of every trained model; raises UserError where one is missing."""
    lines: dict[tuple[str, str, str], Line] = defaultdict(lambda: defaultdict(list))
    # Tuned models first, with all layers before cut ones: they are what scores come from.
    order = {"target": 0, "intermediate": 1}
    trained = sorted(source.spec["models"], key=lambda m: (order.get(m["phase"], 2), m["depth"] != "full"))
    for model in trained:
        for what, recipe, line in _lines(model, models / model["place"] / "history.jsonl"):
            for place, pairs in line.items():
                lines[_title(source, model), what, recipe][place] += pairs
    cells = [
        {"model": title, "what": what, "recipe": recipe, "step": round(fmean(s for s, _ in pairs)),
         "value": short(fmean(v for _, v in pairs))}
        for (title, what, recipe), line in lines.items()
        for _, pairs in sorted(line.items())
    ]  # fmt: skip
    if not cells:
        return Absent(NAME, TITLE, "the study trains no model")
    titles = list(dict.fromkeys(c["model"] for c in cells))
    caption = (
        f"Mean over seeds; a point is the mean of up to one {BINS}th of the steps. Losses of different tasks and "
        "heads are not comparable. Every step is in history.jsonl beside the model."
    )
    columns = ("table", "line", "model", "what", "recipe", "step", "value")
    rows = [["models/**/history.jsonl", "", *(c[k] for k in columns[2:])] for c in cells]
    first = [
        c for c in cells if (c["model"], c["what"], c["recipe"]) == (titles[0], "training loss", cells[0]["recipe"])
    ]
    alt = (
        f"Training loss over steps of {titles[0]}: {first[0]['recipe']} from {first[0]['value']:.2f} to "
        f"{first[-1]['value']:.2f}; {len(titles)} models to choose from."
        if first
        else TITLE
    )
    body = _body(source, cells, titles)
    return Figure(NAME, TITLE, caption, alt, chart(TITLE, source.subtitle, alt, body), columns, rows)


def _lines(model: Mapping[str, Any], path: Path) -> Iterator[tuple[str, str, Line]]:
    """Yield what is shown, the recipe, and the points of one training run."""
    if not path.is_file():
        raise UserError(f"{path} is missing: delete that folder's manifest and run the workflow again")
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    last = max((r["step"] for r in found), default=0)
    for what, key in (("training loss", "loss"), ("dev score", "dev")):
        line: Line = defaultdict(list)
        for row in found:
            if isinstance(row.get(key), int | float):
                # Several tasks in turn have losses of different size: each line is the mean over what came by.
                line[(row["step"] - 1) * BINS // last if key == "loss" else row["step"]].append((row["step"], row[key]))
        if line:
            yield what, model["recipe"] or BASELINE, line


def _title(source: Source, model: Mapping[str, Any]) -> str:
    """Return what runs with the same data have in common, whatever the recipe."""
    of = f" of {model['backbone']}" if len(source.backbones) > 1 else ""
    if not model["target"]:
        return f"{model['phase']}{of}"
    depth = "all layers" if model["depth"] == "full" else f"{model['depth']} layers"
    return f"{model['target']}, {depth}{of}"


def _body(source: Source, cells: list[dict[str, Any]], titles: list[str]) -> dict[str, Any]:
    recipes = [r for r in (BASELINE, *source.recipes, *source.shown) if any(c["recipe"] == r for c in cells)]
    marks, whats = marks_of(list(dict.fromkeys(recipes)), source.ranked), list(dict.fromkeys(c["what"] for c in cells))
    both = {
        "x": numeric("step", "optimizer step"), "y": numeric("value", " or ".join(whats), scale={"zero": False}),
        "opacity": faded(),
    }  # fmt: skip
    # Long enough to see the dashes.
    legend = {**marks["color"]["legend"], "symbolType": "stroke", "symbolSize": 500}
    seen = told(recipe="recipe", step="step", value="value")
    params = [select("pick_model", "model", titles)] + ([select("pick_what", "show", whats)] if len(whats) > 1 else [])
    shown = [{"filter": "datum.model == pick_model"}]
    return {
        "width": WIDTH, "height": 240, "data": {"values": cells}, "params": params,
        "transform": shown + ([{"filter": "datum.what == pick_what"}] if len(whats) > 1 else []),
        "layer": [
            {"params": [legend_choice()], "mark": {"type": "line", "strokeWidth": 1.8},
             "encoding": {**both, "color": {**marks["color"], "legend": legend},
                          "strokeDash": {**marks["dashes"], "legend": legend}, "tooltip": seen}},
        ],
    }  # fmt: skip
