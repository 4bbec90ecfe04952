"""From tables to the page: gathers the rows into what the template shows. Nothing is computed that no table holds."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, StrictUndefined
from markupsafe import Markup

from stilts.errors import UserError
from stilts.report.answer import Row, always, answer, controls_say, question, signed, spread
from stilts.report.budget import budget_answer, cost_tables, gain_tables, training_table, verdicts
from stilts.report.chart import Line, layer_chart
from stilts.report.grid import ALL, BASELINE, SOURCE, ZERO_SHOT
from stilts.report.sections import benchmark_tables, best_table, published_table
from stilts.report.style import CSS
from stilts.report.tables import OVERALL
from stilts.report.template import CELL, PAGE

FILES = {
    "curves/curves.csv": "the score that each budget buys, seed by seed and language by language",
    "curves/areas.csv": "areas under these curves",
    "curves/pareto.csv": "configurations that no other one beats for less",
    "claims/claims.csv": "each recipe against none at each budget, with intervals, power and corrected p",
    "claims/paper.csv": "the paper's claims and their verdicts",
    "costs/costs.csv": "what predictions cost",
    "costs/recipe_costs.csv": "what the training of each recipe and target cost",
    "costs/training_costs.csv": "what each training run cost",
    "tables/scores.csv": "every score, one row each",
    "tables/targets.csv": "targets by recipe, with differences, every protocol and average",
    "tables/target_x_recipe.csv": "the same, one row a target, one column a recipe",
    "tables/overall.csv": "means over groups of targets and over all",
    "tables/seeds.csv": "the values behind the means, seed by seed",
    "tables/languages.csv": "language by language",
    "tables/controls.csv": "each score against each control",
    "tables/retrieval_layers.csv": "retrieval by hidden state",
    "tables/benchmarks.csv": "the official means of XTREME and XTREME-R",
    "tables/best_per_target.csv": "the recipe each target takes by its dev scores",
    "tables/published.csv": "published numbers beside ours",
    "tables/missing.csv": "scores that should be there and are not",
}
STAND_IN = {
    "mini": "The languages are artificial and the encoder is a tiny one, pretrained here. These numbers show that the "
    "workflow runs and what it measures; they say nothing about XLM-R or about any real language.",
    "other": "The data are real, but the encoder is a tiny one, pretrained here on little text. Its scores are low, "
    "and they say nothing about XLM-R.",
}
MADE_UP = "The mini world generates every task below under its real name and form; no row of the real data is used."
SIGNS = {"yes": "✓", "no": "✗", "unclear": "~", "unknown": "?"}


def render(spec: dict[str, Any], root: Path) -> str:
    """Return the page as HTML; raises UserError when a table is missing.

    spec: that of rule report; root: the folder that holds tables/, curves/, claims/ and costs/.
    """
    read = {name: _read(root / name) for name in FILES if name != "tables/scores.csv"}
    tables = {name.removeprefix("tables/"): rows for name, rows in read.items()}
    places, how = _places(spec, tables), spec["settings"]["budget"]
    claims = tables["claims/claims.csv"]
    lead, sentences = budget_answer(claims, how)
    names = {code: f"{name} ({code})" for code, name in spec.get("language_names", {}).items()}
    source = names.get(spec["source_language"], spec["source_language"])
    settings = [(key, value) for key, value in (spec.get("settings") or {}).items()]
    if spec.get("versions"):
        settings.append(("versions", spec["versions"]))
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False)
    return (
        environment.from_string(CELL + PAGE)
        .render(
            css=Markup(CSS),
            title=spec["title"],
            experiment=spec["experiment"],
            source=source,
            stand_in=STAND_IN["mini" if spec.get("provider", "mini") == "mini" else "other"]
            if spec["stand_in"]
            else "",
            question=question(source),
            recipes=spec["recipes"],
            seeds=spec["seeds"],
            targets=spec["targets"],
            lead=lead or places[0]["lead"],
            sentences=[*sentences, *(places[0]["checks"] if lead else places[0]["sentences"])],
            places=places,
            gains=gain_tables(claims, spec["recipes"], how),
            level=f"{100 * (1 - float(how['alpha'])):.3g} %",
            verdicts=verdicts(tables["claims/paper.csv"]),
            costs=cost_tables(tables["costs/costs.csv"]),
            training=training_table(tables["costs/recipe_costs.csv"], claims),
            gaps=[_say_gap(r) for r in tables["missing.csv"]],
            tasks=_tasks(spec),
            notes=spec.get("notes") or [],
            faults=_faults(spec.get("faults") or {}),
            data_note=MADE_UP if spec.get("provider") == "mini" else "",
            settings=[{"name": name, "entries": _flat(value)} for name, value in settings],
            files=[{"name": name, "what": what} for name, what in FILES.items()],
        )
        .lstrip()
    )


def _places(spec: dict[str, Any], tables: dict[str, list[Row]]) -> list[dict[str, Any]]:
    """Return the parts of the page that repeat for each backbone and budget point."""
    keys = list(dict.fromkeys((r["backbone"], r["budget_point"]) for r in tables["targets.csv"]))
    places = []
    for number, (backbone, point) in enumerate(keys):
        mine = {
            name: [r for r in rows if (r["backbone"], r["budget_point"]) == (backbone, point)]
            for name, rows in tables.items()
            if "/" not in name
        }
        suffix = f": {backbone}, {point}" if len(keys) > 1 else ""
        lead, sentences = answer(mine["overall.csv"], mine["targets.csv"], spec["seeds"])
        places.append(
            {
                "suffix": suffix,
                "lead": lead,
                "checks": controls_say(mine["controls.csv"]),
                "sentences": controls_say(mine["controls.csv"]) + sentences,
                "matrices": [_matrix(spec, mine, average, suffix) for average in (ZERO_SHOT, ALL)],
                "controls": _controls(mine["controls.csv"]),
                "charts": _charts(spec, mine["retrieval_layers.csv"], suffix, number),
                "languages": _languages(spec, mine, suffix),
                "benchmarks": benchmark_tables(spec, mine["benchmarks.csv"], suffix, _cell),
                "best": best_table(mine["best_per_target.csv"], suffix, _cell),
                "published": published_table(mine["published.csv"], suffix, percent),
            }
        )
    return places


def _matrix(spec: dict[str, Any], tables: dict[str, list[Row]], average: str, suffix: str) -> dict[str, Any]:
    """Return the recipe x target table of one average, the mean over targets last."""
    rows = [r for r in tables["targets.csv"] if (r["average"], r["headline"], r["role"]) == (average, "yes", "recipe")]
    total = [r for r in tables["overall.csv"] if (r["average"], r["scope"]) == (average, OVERALL)]
    cells = {(r["recipe"], r["target"]): r for r in rows} | {(r["recipe"], OVERALL): r for r in total}
    targets = list(dict.fromkeys(r["target"] for r in rows))
    notes = {r["target"]: "" if r["protocol"] == "standard" else r["protocol"] for r in rows}
    heads = [{"name": t, "note": notes[t], "total": False} for t in targets]
    caption = "Other languages only (zero-shot)" if average == ZERO_SHOT else "All languages, as the paper averages"
    return {
        "caption": caption + suffix,
        "heads": [{"name": "mean", "note": "of all targets", "total": True}, *heads],
        "rows": [
            {"recipe": r, "cells": [_cell(cells.get((r, t)), t == OVERALL) for t in [OVERALL, *targets]]}
            for r in sorted(spec["recipes"], key=lambda r: r != BASELINE)
        ],
    }


def _cell(row: Row | None, total: bool = False) -> dict[str, Any]:
    """Return what a table cell shows of a row: its value, or why there is none, and its difference."""
    if row is None or not row["mean"]:
        why = "missing" if row is not None and row["missing"] else ""
        return {"value": "–", "difference": "", "sign": "", "spread": "", "tone": "", "why": why, "total": total}
    sure = always(row)
    tone = ("down", "flat", "up")[sure + 1] if row["difference"] else ""
    own = f" ± {float(row['sd']):.1f}" if row["sd"] and not row["difference"] else ""
    return {
        "value": percent(row["mean"]),
        "difference": signed(row["difference"]) if row["difference"] else "",
        "sign": "▼≈▲"[sure + 1],
        "spread": spread(row) if row["difference"] else own,
        "tone": tone,
        "why": "no difference" if not row["difference"] and row["missing"] else "",
        "total": total,
    }


def _controls(rows: Sequence[Row]) -> dict[str, Any]:
    """Return the baseline's scores beside their controls: the source language and the mean of the others."""
    mine = [
        r for r in rows if (r["recipe"], r["headline"]) == (BASELINE, "yes") and r["average"] in (SOURCE, ZERO_SHOT)
    ]
    names = list(dict.fromkeys(r["control"] for r in mine if r["control"]))
    found: dict[tuple[str, str], list[Row]] = {}
    for row in mine:
        found.setdefault((row["target"], row["average"]), []).append(row)
    shown = []
    for (target, average), group in found.items():
        verdict = next(v for v in ("no", "unknown", "unclear", "yes") if v in [r["counts"] for r in group])
        margins = [float(r["margin"]) for r in group if r["margin"]]
        values = {r["control"]: percent(r["control_score"]) for r in group}
        shown.append(
            {
                "target": target,
                "languages": "source language" if average == SOURCE else "others, mean",
                "score": percent(group[0]["score"]),
                "numbers": [values.get(n, "") for n in names],
                "margin": signed(min(margins)) if margins else "",
                "counts": verdict,
                "sign": SIGNS[verdict],
            }
        )
    return {"names": names, "rows": shown}


def _charts(spec: dict[str, Any], rows: Sequence[Row], suffix: str, number: int) -> list[dict[str, Any]]:
    """Return one chart with its table for each retrieval target."""
    charts = []
    for target in dict.fromkeys(r["target"] for r in rows):
        mine = [r for r in rows if r["target"] == target]
        layers = sorted({int(r["layer"]) for r in mine})
        recipes = list(dict.fromkeys(r["recipe"] for r in mine))
        cells = {(r["recipe"], int(r["layer"])): r["mean"] for r in mine}
        lines = [Line(r, [(k, float(cells[r, k])) for k in layers if cells.get((r, k))]) for r in recipes]
        caption = f"{target}{suffix}, mean over {mine[0]['languages']} languages"
        title = f"{target}: percent of translations found first, by hidden state, for {', '.join(recipes)}"
        picture = layer_chart(lines, int(spec["retrieval_layer"]), title, f"chart-{number}-{len(charts)}")
        body = [{"recipe": r, "numbers": [percent(cells.get((r, k), "")) for k in layers]} for r in recipes]
        charts.append({"picture": picture, "caption": caption, "layers": layers, "rows": body})
    return charts


def _languages(spec: dict[str, Any], tables: dict[str, list[Row]], suffix: str) -> list[dict[str, Any]]:
    """Return one table a target and metric of its headline protocol."""
    heads = {(r["target"], r["protocol"]) for r in tables["targets.csv"] if r["headline"] == "yes"}
    found: dict[tuple, dict[str, dict[str, Row]]] = {}
    for row in tables["languages.csv"]:
        if (row["target"], row["protocol"]) in heads:
            key = (row["target"], row["protocol"], row["metric"])
            found.setdefault(key, {}).setdefault(row["language"], {})[row["recipe"]] = row
    shown = []
    for (target, protocol, metric), by_language in found.items():
        used = {recipe for rows in by_language.values() for recipe in rows}
        rivals = [
            c for c in dict.fromkeys(r["recipe"] for r in tables["languages.csv"]) if c in used - set(spec["recipes"])
        ]
        rows = [_language(spec, code, cells, rivals) for code, cells in by_language.items()]
        rows.sort(key=lambda r: not r["note"])
        name = metric.replace("_", " ") + ("" if protocol == "standard" else f" ({protocol})")
        shown.append({"caption": f"{target}, {name}, percent{suffix}", "controls": rivals, "rows": rows})
    return shown


def _language(spec: dict[str, Any], code: str, cells: dict[str, Row], rivals: Sequence[str]) -> dict[str, Any]:
    first = next(iter(cells.values()))
    named = first["name"] if first["name"] == code else f"{first['name']} ({code})"
    return {
        "name": named,
        "note": "source language" if first["is_source"] == "yes" else "",
        "n": first["n"],
        "cells": [_cell(cells.get(r)) for r in spec["recipes"]],
        "controls": [percent(cells[c]["mean"]) if c in cells else "" for c in rivals],
    }


def _tasks(spec: dict[str, Any]) -> list[dict[str, str]]:
    """Return what is shown of the data of each task; what was read (spec `revisions`) or is pinned."""
    targets = {t["task"] for t in spec["targets"]}
    pins, shown = spec.get("revisions") or {}, []
    for task in spec.get("tasks") or spec["targets"]:
        source = task.get("source") or {}
        pin = pins.get(task["task"]) or (source.get("revision") or "")[:12]
        homes = [s["id"] for s in [source, *(task.get("more_sources") or [])] if s.get("id")]
        link = task.get("url") or ""
        shown.append(
            {
                "name": task["task"],
                "role": f"{'target' if task['task'] in targets else 'intermediate'}, {task['kind'].replace('_', ' ')}",
                "description": task.get("description", ""),
                "source": " and ".join(homes) or _other_source(task, source),
                # A link that is not http(s) (javascript:, data:) would run in the reader's browser.
                "url": link if link.startswith(("https://", "http://")) else "",
                "revision": "" if spec.get("provider") == "mini" else f"revision {pin}" if pin else "not pinned",
                "licence": task.get("licence", ""),
                "citation": task.get("citation", ""),
            }
        )
    return shown


def _faults(found: dict[str, dict[str, dict[str, dict[str, int]]]]) -> list[tuple[str, str]]:
    """Return (task, what `prepare` counted, over all splits and languages) of the tasks with any fault."""
    totals = {
        task: ", ".join(
            f"{what} {sum(sum(of.values()) for of in by.values()):,}" for what, by in sorted(counts.items())
        )
        for task, counts in sorted(found.items())
    }
    return [(task, text) for task, text in totals.items() if text]


def _other_source(task: dict[str, Any], source: dict[str, Any]) -> str:
    if task.get("union"):
        return f"union of {', '.join(task['union'])}"
    return "raw files" if source.get("files") else "your own copy" if source.get("path") else "–"


def _flat(value: Any, prefix: str = "") -> list[tuple[str, str]]:
    """Return the leaves of nested settings as (dotted key, text)."""
    if isinstance(value, dict):
        return [
            leaf for key, inner in value.items() for leaf in _flat(inner, f"{prefix}.{key}" if prefix else str(key))
        ]
    if isinstance(value, list):
        value = ", ".join(map(str, value)) or "none"
    return [(prefix, "none" if value is None or value == "" else str(value))]


def _say_gap(row: Row) -> str:
    where = [row["backbone"], row["budget_point"], row["recipe"], row["target"], f"seed {row['seed']}"]
    where += [row[k] for k in ("protocol", "language", "metric") if row[k] != ALL]
    return f"{', '.join(where)}: {row['problem']}"


def percent(value: str) -> str:
    """Return a percentage with one decimal; nothing becomes a dash."""
    return f"{float(value):.1f}" if value else "–"


def _read(path: Path) -> list[Row]:
    if not path.is_file():
        raise UserError(f"{path} is missing: delete that folder's manifest and run the workflow again")
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
