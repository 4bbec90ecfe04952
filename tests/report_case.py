"""A small made-up experiment for the tests of tables and report: a spec and its scores, by formula."""

from __future__ import annotations

import json

from stilts.metrics.table import Score

KINDS = {
    "pawsx": ("pair_classification", "classification", ["accuracy"]),
    "xcopa": ("multiple_choice", "classification", ["accuracy"]),
    "udpos": ("token_tagging", "structured", ["f1"]),
    "xquad": ("span_extraction", "qa", ["f1", "exact_match"]),
    "tatoeba": ("bitext_retrieval", "retrieval", ["accuracy"]),
}
PROTOCOLS = {
    "token_tagging": [("xtreme-f1", "f1"), ("accuracy", "accuracy"), ("seqeval-f1", "f1")],
    "span_extraction": [("standard", "f1"), ("standard", "exact_match")],
    "bitext_retrieval": [(f"layer{k}-mean", "accuracy") for k in (0, 1, 2)],
}
BOOST = {"none": 0, "mnli": 4, "squad1": 9}


BUDGET = {"axis": "flops", "scale": "share", "alpha": 0.05}


def task(name):
    kind, group, metrics = KINDS[name]
    languages = ["qab", "qac"] if kind == "bitext_retrieval" else ["qaa", "qab", "qac"]
    labels = ["no", "yes"] if kind in ("pair_classification", "token_tagging") else []
    return {
        "task": name, "kind": kind, "group": group, "description": f"What {name} asks.", "metrics": metrics,
        "source": {"id": f"org/{name}", "revision": "0123456789abcdef"}, "labels": labels, "languages": languages,
        "licence": "CC BY 4.0", "citation": f"Author ({name})", "url": f"https://example.org/{name}",
    }  # fmt: skip


def spec(**more):
    return {
        "experiment": "x", "title": "A study", "stand_in": True, "source_language": "qaa",
        "language_names": {"qaa": "Alva", "qab": "Brimo", "qac": "Cest"}, "targets": [task(t) for t in KINDS],
        "recipes": list(BOOST), "controls": ["random-init", "blind"], "seeds": [1, 2], "budget_points": ["full"],
        "retrieval_layer": 2, **more, "settings": {"budget": BUDGET} | more.get("settings", {}),
    }  # fmt: skip


def value(recipe, target, how, language, seed):
    """A score in percent: 40 by task, less in other languages, more with the recipe, a little by seed."""
    protocol, metric = how
    if recipe in ("random-init", "blind", "majority", "type-chance"):
        return 20.0 + (language == "qab")
    base = 40 + 2 * list(KINDS).index(target) + (10 if language == "qaa" else 0) - (language == "qac")
    base += {"exact_match": -6, "accuracy": 1, "f1": 0}[metric] + (2 * int(protocol[5]) if "layer" in protocol else 0)
    return float(base + BOOST[recipe] * (1 if seed == 1 else 1.5) + seed)


def scores(recipes=tuple(BOOST), targets=tuple(KINDS), seeds=(1, 2), controls=True):
    rows = []
    for target in targets:
        kind = KINDS[target][0]
        arms = [(r, s) for r in recipes for s in seeds]
        if controls:
            arms += [("random-init", 1)] + ([("majority", s) for s in seeds] if target == "pawsx" else [])
        for recipe, seed in arms:
            for protocol, metric in PROTOCOLS.get(kind, [("standard", "accuracy")]):
                for language in task(target)["languages"]:
                    v = value(recipe, target, (protocol, metric), language, seed)
                    rows.append(
                        Score("x", "mini", recipe, target, protocol, language, "full", seed, metric, v, 200, True)
                    )
    return rows


def figure(name, labels=("mnli", "squad1"), rows=()):
    """Return (entry of index.json, specification) of a chart with a list to choose from, by hand."""
    values = [{"recipe": r, "x": x, "y": x * (k + 1)} for k, r in enumerate(labels) for x in (1, 2, 3)]
    channels = {"x": {"field": "x", "type": "quantitative"}, "y": {"field": "y", "type": "quantitative"}}
    channels |= {"color": {"field": "recipe", "type": "nominal"}, "tooltip": {"field": "recipe"}}
    choice = {
        "name": "pick",
        "value": labels[0],
        "bind": {"input": "select", "options": list(labels), "name": "recipe "},
    }
    spec = {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json", "title": name, "width": 540, "height": 100,
        "data": {"values": [*values, *rows]}, "params": [choice], "transform": [{"filter": "datum.recipe == pick"}],
        "mark": {"type": "line", "point": True}, "encoding": channels,
    }  # fmt: skip
    files = {kind: f"{name}.{kind}" for kind in ("json", "svg", "png", "csv")}
    return {
        "name": name,
        "title": f"Chart {name}",
        "caption": "A line.",
        "description": "It rises.",
        "files": files,
    }, spec


def write_figures(folder, names=("score_at_budget", "heatmap"), **more):
    """Write figures as rule `figures` does; one is absent."""
    folder.mkdir(parents=True, exist_ok=True)
    index = [{"name": "pareto", "title": "Score and cost", "reason": "the study has one budget point only"}]
    for name in names:
        entry, spec = figure(name, **more)
        index.append(entry)
        (folder / f"{name}.json").write_text(json.dumps(spec), encoding="utf-8")
        (folder / f"{name}.svg").write_text('<svg xmlns="http://www.w3.org/2000/svg"><g/></svg>', encoding="utf-8")
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")


def claim(**more):
    """Return a row of claims.csv."""
    columns = (
        "recipe",
        "target",
        "budget",
        "seeds",
        "none",
        "score",
        "difference",
        "low",
        "high",
        "p_holm",
        "detectable",
        "note",
    )
    return {**dict.fromkeys(columns, ""), "target": "overall", "budget": "1", "seeds": "3", **more}
