"""Parts of the page beyond the grid: official means, best per target, published numbers (table rows in, cells out)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from stilts.report.answer import Row
from stilts.report.benchmarks import TOTAL
from stilts.report.grid import ALL, ZERO_SHOT
from stilts.report.tables import OVERALL

Cell = Callable[..., dict[str, Any]]


def benchmark_tables(spec: dict[str, Any], rows: Sequence[Row], suffix: str, cell: Cell) -> list[dict[str, Any]]:
    """Return one table a benchmark: recipes by groups, the total first, and what keeps a mean from being printed.

    cell: makes what the template shows of a row.
    """
    shown = []
    for benchmark in spec.get("benchmarks", []):
        mine = [r for r in rows if r["benchmark"] == benchmark["benchmark"]]
        groups = [TOTAL, *dict.fromkeys(r["scope"] for r in mine if r["scope"] != TOTAL)]
        cells = {(r["recipe"], r["scope"]): r for r in mine}
        recipes = list(dict.fromkeys(r["recipe"] for r in mine))
        if mine:
            tasks = {g: cells[recipes[0], g]["tasks"].split() for g in groups}
            printed = [r for r in mine if r["mean"]]
            # Where no group is whole, what the total lacks says everything.
            gaps = [r for r in mine if not r["mean"] and (printed or r["scope"] == TOTAL)]
            lost = dict.fromkeys(f"{r['scope']}: {r['missing']}" for r in gaps)
            shown.append(
                {
                    "caption": benchmark["title"] + suffix,
                    "heads": [{"name": g, "note": _tasks(len(tasks[g])), "total": g == TOTAL} for g in groups],
                    "rows": [
                        {"recipe": r, "cells": [cell(cells[r, g], g == TOTAL) for g in groups]}
                        for r in (recipes if printed else [])
                    ],
                    "lost": list(lost),
                }
            )
    return shown


def best_table(rows: Sequence[Row], suffix: str, cell: Cell) -> dict[str, Any]:
    """Return the recipe that each target takes, and its scores."""
    cells = {(r["target"], r["average"]): r for r in rows}
    lines = [
        {
            "target": "mean of all targets" if target == OVERALL else target,
            "recipe": "" if target == OVERALL else cells[target, ALL]["recipe"] or "–",
            "chosen_on": cells[target, ALL]["chosen_on"],
            "cells": [cell(cells.get((target, a))) for a in (ALL, ZERO_SHOT)],
        }
        for target in dict.fromkeys(r["target"] for r in rows if r["average"] == ALL)
    ]
    return {"caption": f"Best per target{suffix}", "rows": lines}


def published_table(rows: Sequence[Row], suffix: str, percent: Callable[[str], str]) -> dict[str, Any]:
    """Return published means beside ours; single languages are left to the table's file."""
    mine = [r for r in rows if r["language"] == ALL]
    recipes = list(dict.fromkeys(r["recipe"] for r in mine))
    systems = dict.fromkeys(r["system"] for r in mine)
    found: dict[tuple[str, str, str], list[Row]] = {}
    for row in mine:
        found.setdefault((row["target"], row["protocol"], row["metric"]), []).append(row)
    lines = []
    for (target, protocol, metric), group in found.items():
        ours = {r["recipe"]: percent(r["ours"]) for r in group}
        theirs = {r["system"]: f"{percent(r['published'])}{'*' * (r['certainty'] == 'computed')}" for r in group}
        name = metric.replace("_", " ") + ("" if protocol == "standard" else f" ({protocol})")
        numbers = [ours.get(r, "") for r in recipes], [theirs.get(s, "") for s in systems]
        lines.append({"target": target, "metric": name, "ours": numbers[0], "theirs": numbers[1]})
    sources = dict.fromkeys(f"{r['system']}: {r['source']}" for r in mine)
    caption = f"Published numbers beside ours{suffix}, percent, mean over the benchmark's languages"
    return {"caption": caption, "recipes": recipes, "systems": list(systems), "rows": lines, "sources": list(sources)}


def _tasks(number: int) -> str:
    return f"{number} task{'s' if number != 1 else ''}"
