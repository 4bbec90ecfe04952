"""Write figures: Vega-Lite specifications, and the same drawn, which needs neither network nor browser."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import vl_convert

from stilts.figures.source import Absent, Figure
from stilts.metrics.table import write_csv

VEGA_LITE = "6.4"
DOTS = 300  # an inch
PIXELS, POINTS = 96, 72  # an inch, as CSS and paper have it


def write_figures(folder: Path, figures: Sequence[Figure | Absent]) -> dict[str, Any]:
    """Write the files of every figure and index.json; return the facts of the manifest."""
    index = [_write(folder, f) if isinstance(f, Figure) else f._asdict() for f in figures]
    _dump(folder / "index.json", index)
    return {"figures": sum("files" in entry for entry in index)}


def _write(folder: Path, figure: Figure) -> dict[str, Any]:
    _dump(folder / f"{figure.name}.json", figure.spec, indent=None)
    still = {**figure.spec, "title": _with_choice(figure.spec)}
    svg = vl_convert.vegalite_to_svg(json.dumps(still), vl_version=VEGA_LITE)
    (folder / f"{figure.name}.svg").write_text(svg, encoding="utf-8")
    # On white: a picture without a background is black on black in dark readers.
    png = vl_convert.vegalite_to_png(
        json.dumps({**still, "background": "white"}), vl_version=VEGA_LITE, scale=POINTS / PIXELS, ppi=DOTS
    )
    (folder / f"{figure.name}.png").write_bytes(png)
    write_csv(folder / f"{figure.name}.csv", figure.columns, [[_cell(c) for c in row] for row in figure.rows])
    return {
        "name": figure.name,
        "title": figure.title,
        "caption": figure.caption,
        "description": figure.description,
        "files": {kind: f"{figure.name}.{kind}" for kind in ("json", "svg", "png", "csv")},
    }


def _with_choice(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the title with what is chosen of all that the live chart can show: on paper nobody can choose."""
    said = []
    for param in spec["params"]:
        bind = param["bind"]
        shown = dict(zip(bind["options"], bind.get("labels", bind["options"]), strict=True))[param["value"]]
        said.append(f"{bind['name'].strip().capitalize()}: {shown}")
    return {**spec["title"], "subtitle": [*spec["title"].get("subtitle", []), ". ".join(said)]}


def _dump(path: Path, value: Any, indent: int | None = 1) -> None:
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, indent=indent, allow_nan=False)
    path.write_text(text + "\n", encoding="utf-8")


def _cell(value: Any) -> str:
    return "" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
