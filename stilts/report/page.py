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
from stilts.report.budget import budget_answer, cost_tables, count_verdicts, gain_tables, training_table, verdicts
from stilts.report.charts import ON_DARK, charts, in_script, library, policy
from stilts.report.forest import forest
from stilts.report.grid import ALL, BASELINE, SOURCE, ZERO_SHOT
from stilts.report.origin import origin
from stilts.report.script import SCRIPT
from stilts.report.sections import benchmark_tables, best_table, published_table
from stilts.report.style import CSS
from stilts.report.tables import OVERALL
from stilts.report.template import PAGE

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
SHORT = "Does intermediate training still pay when inference is budgeted?"
LARGE = 2000  # cells of a table; larger ones are left to their file
SIGNS = {"yes": "✓", "no": "✗", "unclear": "~", "unknown": "?"}


def render(spec: dict[str, Any], root: Path) -> str:
    """Return the page as HTML; raises UserError when a table or figure is missing.

    spec: that of rule report; root: the folder that holds tables/, curves/, claims/, costs/ and figures/.
    """
    read = {name: _read(root / name) for name in FILES if name != "tables/scores.csv"}
    tables = {name.removeprefix("tables/"): rows for name, rows in read.items()}
    places, figures = _places(spec, tables), charts(root / "figures")
    scripts = [library()] * any(figure["spec"] for figure in figures.values()) + [SCRIPT]
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=False)
    return (
        environment.from_string(PAGE)
        .render(
            css=Markup(CSS),
            policy=policy(scripts),
            scripts=[Markup(script) for script in scripts],
            on_dark=in_script(ON_DARK),
            charts=figures,
            files=[{"name": name, "what": what} for name, what in FILES.items()],
            **_first_screen(spec, tables, places[0]),
            **_sections(spec, tables, places),
            **origin(spec, tables["costs/training_costs.csv"]),
        )
        .lstrip()
    )


def _first_screen(spec: dict[str, Any], tables: dict[str, list[Row]], first: dict[str, Any]) -> dict[str, Any]:
    """Return what is read before any scrolling: the question, the answer, and what the numbers speak of."""
    names = {code: f"{name} ({code})" for code, name in spec.get("language_names", {}).items()}
    source = names.get(spec["source_language"], spec["source_language"])
    claims, how = tables["claims/claims.csv"], spec["settings"]["budget"]
    headline, lead, sentences = budget_answer(claims, how)
    if headline and spec["stand_in"]:
        headline = f"In this stand-in: {headline[0].lower()}{headline[1:]}"
    made_up = spec.get("provider", "mini") == "mini"
    return {
        "title": spec["title"],
        "experiment": spec["experiment"],
        "source": source,
        "short": SHORT,
        "question": question(source),
        "stand_in": STAND_IN["mini" if made_up else "other"] if spec["stand_in"] else "",
        "headline": headline,
        "lead": lead or first["lead"],
        "sentences": [*sentences, *(first["checks"] if lead else first["sentences"])],
        "forest": forest(claims, how),
        "level": f"{100 * (1 - float(how['alpha'])):.3g} %",
    } | {key: spec[key] for key in ("recipes", "seeds", "targets")}


def _sections(spec: dict[str, Any], tables: dict[str, list[Row]], places: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the results, in the order of a reader's questions."""
    claims, first = tables["claims/claims.csv"], places[0]
    found = verdicts(tables["claims/paper.csv"])
    large = [t["caption"] for t in first["languages"] if len(t["rows"]) * len(spec["recipes"]) > LARGE]
    return {
        "places": places,
        "first": first | {"languages": [t for t in first["languages"] if t["caption"] not in large]},
        "too_large": "; ".join(large),
        "layers": bool(first["layers"]),
        "layer": spec["retrieval_layer"],
        "published": bool(first["published"]["rows"] or first["benchmarks"]),
        "gains": gain_tables(claims, spec["recipes"], spec["settings"]["budget"]),
        "decided": [v for v in found if v["tone"]],
        "undecided": [v for v in found if not v["tone"]],
        "verdict_counts": count_verdicts(found),
        "scope": found[0]["scope"] if found else "",
        "costs": cost_tables(tables["costs/costs.csv"]),
        "training": training_table(tables["costs/recipe_costs.csv"], claims),
        "backbones": len({r["backbone"] for r in tables["targets.csv"]}),
        "gaps": [_say_gap(r) for r in tables["missing.csv"]],
    }


def _places(spec: dict[str, Any], tables: dict[str, list[Row]]) -> list[dict[str, Any]]:
    """Return the scores under each backbone and budget point; of the first also what stands behind them."""
    keys = list(dict.fromkeys((r["backbone"], r["budget_point"]) for r in tables["targets.csv"]))
    places = []
    for backbone, point in keys:
        mine = {
            name: [r for r in rows if (r["backbone"], r["budget_point"]) == (backbone, point)]
            for name, rows in tables.items()
            if "/" not in name
        }
        suffix = f": {backbone}, {point}" if len(keys) > 1 else ""
        place = {"matrices": [_matrix(spec, mine, average, suffix) for average in (ZERO_SHOT, ALL)]}
        places.append(place if places else place | _behind(spec, mine, suffix))
    return places


def _behind(spec: dict[str, Any], tables: dict[str, list[Row]], suffix: str) -> dict[str, Any]:
    """Return the answer without budgets, and controls, layers, languages, means, choices and published numbers."""
    lead, sentences = answer(tables["overall.csv"], tables["targets.csv"], spec["seeds"])
    return {
        "suffix": suffix,
        "lead": lead,
        "checks": controls_say(tables["controls.csv"]),
        "sentences": controls_say(tables["controls.csv"]) + sentences,
        "controls": _controls(tables["controls.csv"]),
        "layers": _layers(tables["retrieval_layers.csv"], suffix),
        "languages": _languages(spec, tables, suffix),
        "benchmarks": benchmark_tables(spec, tables["benchmarks.csv"], suffix, _cell),
        "best": best_table(tables["best_per_target.csv"], suffix, _cell),
        "published": published_table(tables["published.csv"], suffix, percent),
    }


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


def _layers(rows: Sequence[Row], suffix: str) -> list[dict[str, Any]]:
    """Return one table of recipes by hidden states for each retrieval target."""
    tables = []
    for target in dict.fromkeys(r["target"] for r in rows):
        mine = [r for r in rows if r["target"] == target]
        layers = sorted({int(r["layer"]) for r in mine})
        cells = {(r["recipe"], int(r["layer"])): r["mean"] for r in mine}
        caption = f"{target}{suffix}, mean over {mine[0]['languages']} languages: percent found first"
        recipes = dict.fromkeys(r["recipe"] for r in mine)
        body = [{"recipe": r, "numbers": [percent(cells.get((r, k), "")) for k in layers]} for r in recipes]
        tables.append({"caption": caption, "layers": layers, "rows": body})
    return tables


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
