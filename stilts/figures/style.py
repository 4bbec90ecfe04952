"""How figures look: colours, shapes and dashes of recipes, sizes for a page of 6.5 inches, selections.

Colours are Okabe and Ito's without yellow, which white paper swallows; a grey tells the baseline from all others.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

WIDTH = 540  # pixels of a plot, 96 an inch: with its axis and labels 6.5 inches
LEGEND = 80  # characters in a line of a legend
SCHEMA = "https://vega.github.io/schema/vega-lite/v6.json"
COLOURS = ("#6b6b6b", "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c2d62")
SHAPES = ("circle", "square", "triangle-up", "diamond", "cross", "triangle-down", "triangle-right", "triangle-left")
DASHES = ([1, 0], [8, 3], [2, 2], [8, 3, 2, 3], [5, 2], [12, 3], [2, 5], [10, 2, 2, 2, 2, 2])
OTHERS = "#c4c4c4"
DIVERGING = ["#b35806", "#f1a340", "#f7f7f7", "#67a9cf", "#2166ac"]  # down, none, up: told apart by every eye
CONFIG = {
    # The first font is drawn wherever the workflow runs; its widths are those of the ones that follow.
    "font": "Liberation Sans, Arial, Helvetica, sans-serif",
    "background": "transparent",
    "axis": {
        "labelFontSize": 11,
        "labelFlush": False,
        "titleFontSize": 12,
        "titleFontWeight": "normal",
        "gridColor": "#e3e3e3",
    },
    "axisQuantitative": {"grid": True},
    "legend": {
        "labelFontSize": 11,
        "titleFontSize": 11,
        "titleFontWeight": "normal",
        "titleOrient": "left",
        "symbolSize": 90,
        "symbolStrokeWidth": 2,
        "symbolOpacity": 1,
        "labelLimit": 220,
    },
    "title": {"fontSize": 14, "subtitleFontSize": 11, "anchor": "start", "subtitlePadding": 4, "offset": 10},
    "point": {"opacity": 1},
    "view": {"stroke": None},
}


def chart(title: str, subtitle: Sequence[str], description: str, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a Vega-Lite specification that stands alone."""
    head = {"text": title, "subtitle": list(subtitle)} if subtitle else {"text": title}
    return {
        "$schema": SCHEMA,
        "title": head,
        "description": description,
        "config": CONFIG,
        "padding": 8,
        **body,
    }


def select(name: str, label: str, options: Sequence[str], labels: Sequence[str] | None = None) -> dict[str, Any]:
    """Return a parameter with a list to choose from; the first option is drawn where nobody chooses."""
    bind = {"input": "select", "options": list(options), "name": f"{label} "}
    return {"name": name, "value": options[0], "bind": bind | ({"labels": list(labels)} if labels else {})}


def marks_of(recipes: Sequence[str], first: Sequence[str] | None = None) -> dict[str, Any]:
    """Return the channels that tell recipes apart: colour, and shape or dash for who sees no colour.

    recipes: the baseline first. Where there are more than colours, the first that are in `first` too get one and a
    place in the legend, the others are grey. `strokeDash` is for lines beside points: as a scale it would tear the
    symbols of the legend. Lines alone take `dashes`, which has a legend.
    """
    many = len(recipes) > len(COLOURS)
    named = [r for r in (first or recipes) if r in recipes][: len(COLOURS)] if many else list(recipes)
    place = {r: named.index(r) if r in named else None for r in recipes}

    def channel(values: Sequence[Any], other: Any) -> dict[str, Any]:
        chosen = [other if place[r] is None else values[place[r]] for r in recipes]
        columns = max(1, min(8, LEGEND // (max(map(len, named), default=1) + 4)))
        legend = {"title": "recipe", "orient": "top", "columns": columns, "values": named}
        return {
            "field": "recipe",
            "type": "nominal",
            "scale": {"domain": list(recipes), "range": chosen},
            "legend": legend,
        }

    return {
        "color": channel(COLOURS, OTHERS),
        "shape": channel(SHAPES, "circle"),
        "dashes": channel(DASHES, [1, 0]),
        "strokeDash": {
            "condition": [
                {"test": f"datum.recipe === {json.dumps(r)}", "value": d} for r, d in zip(named, DASHES, strict=False)
            ],
            "value": [1, 0],
        },
    }


def legend_choice(name: str = "recipe_shown") -> dict[str, Any]:
    """Return the parameter of a click on the legend; put it in the view whose marks fade."""
    return {"name": name, "select": {"type": "point", "fields": ["recipe"]}, "bind": "legend"}


def faded(name: str = "recipe_shown", full: float = 1.0) -> dict[str, Any]:
    """Return the opacity of marks: full where nothing or their recipe is chosen."""
    return {"condition": {"param": name, "value": full}, "value": full * 0.12}


def numeric(field: str, title: str | None, **more: Any) -> dict[str, Any]:
    """Return a quantitative channel."""
    return {"field": field, "type": "quantitative", "title": title, **more}


def told(**fields: str) -> list[dict[str, Any]]:
    """Return a tooltip: field -> title."""
    return [{"field": field, "title": title} for field, title in fields.items()]
