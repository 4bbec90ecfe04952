"""Figure: the score that each budget buys, and below it the difference to the baseline at the tested budgets."""

from __future__ import annotations

from bisect import bisect_right
from statistics import fmean
from typing import Any

from stilts.budget.curves import OVERALL, ZERO_SHOT
from stilts.figures.source import BASELINE, Absent, Figure, Source, number, short, target_name
from stilts.figures.style import WIDTH, chart, faded, legend_choice, marks_of, numeric, select, told

NAME, TITLE = "score_at_budget", "Score at an inference budget"
OTHERS, SOURCE = "other languages", "source language"
MANY = 1500  # lines of single languages that a page takes
BESIDE, APART = 1.012, 1.08  # between bars of one budget, and between the first and the last of them
NEAR = 1.02  # budgets of different targets that are as near as this are one step of their mean
Steps = dict[tuple[str, str, str], dict[str, list[tuple[float, float]]]]  # recipe, target, group -> seed -> (B, A(B))


def score_at_budget(source: Source) -> Figure | Absent:
    """Return the figure from curves.csv and claims.csv."""
    found = source.rows("curves/curves.csv")
    if len({r["budget"] for r in found}) < 2:
        return Absent(NAME, TITLE, "the study has one budget point only")
    groups = _groups(source, found)
    points = _points(source, _steps(groups, found), list(groups.values()))
    tests = _tests(source)
    if not points:
        return Absent(NAME, TITLE, "no score at any budget is complete over seeds and languages")
    targets = [t for t in (OVERALL, *source.targets) if any(p["target"] == t for p in points)]
    shown = [g for g in groups.values() if any(p["group"] == g for p in points)]
    seeds = len(source.spec["seeds"])
    caption = (
        "Top: mean over seeds of the test score of the configuration that source-language dev scores choose among "
        f"those that cost at most the budget; band: lowest to highest of {seeds} seeds. "
        "Bottom: paired difference to the recipe none in the other languages, at the budgets of the claims; "
        f"bar: {source.level} interval (docs/claims.md), before correction for the number of tests. "
        "Bars of one budget are set side by side." + ("" if len(groups) > 2 else " Single languages: curves.csv.")
    )
    columns = ("table", "line", "what", "recipe", "target", "languages", "budget", "value", "low", "high")
    rows = [
        ("curves/curves.csv", "", "score",
         *(p[k] for k in ("recipe", "target", "group", "budget", "score", "low", "high")))
        for p in points
    ]  # fmt: skip
    rows += [
        (t["table"], t["line"], "difference", t["recipe"], t["target"], OTHERS,
         *(t[k] for k in ("budget", "difference", "low", "high")))
        for t in tests
    ]  # fmt: skip
    alt = _alt(points, targets[0])
    body = _body(source, points, tests, targets, shown)
    return Figure(NAME, TITLE, caption, alt, chart(TITLE, source.subtitle, alt, body), columns, rows)


def _groups(source: Source, found: list[dict[str, str]]) -> dict[str, str]:
    """Return language of curves.csv -> what is chosen: the mean, the source language, each other if there is room."""
    single = sorted({r["language"] for r in found} - {ZERO_SHOT, source.spec["source_language"]})
    room = len(single) * len(source.recipes) * len(source.targets) <= MANY
    return {ZERO_SHOT: OTHERS, source.spec["source_language"]: SOURCE} | ({x: x for x in single} if room else {})


def _steps(groups: dict[str, str], found: list[dict[str, str]]) -> Steps:
    """Return the steps of every curve, ordered by budget; a step without a value ends the curve of its seed."""
    steps: Steps = {}
    for row in found:
        group = groups.get(row["language"])
        if group and row["value"] not in ("", "nan"):
            seeds = steps.setdefault((row["recipe"], row["target"], group), {})
            seeds.setdefault(row["seed"], []).append((float(row["budget"]), float(row["value"])))
    return {key: {seed: sorted(line) for seed, line in seeds.items()} for key, seeds in steps.items()}


def _points(source: Source, steps: Steps, groups: list[str]) -> list[dict[str, Any]]:
    """Return mean, lowest and highest score over seeds at every step, of targets and of their mean."""
    points = []
    for recipe in source.recipes:
        for group in groups:
            own = {t: steps[recipe, t, group] for t in source.targets if (recipe, t, group) in steps}
            for target, seeds in own.items():
                points += _line(source, (recipe, target, group), {s: [line] for s, line in seeds.items()})
            # A source-language score is there for some targets only: their mean would be another mean.
            if len(own) == len(source.targets) and len(own) > 1:
                every = {s: [own[t][s] for t in own] for s in next(iter(own.values())) if all(s in own[t] for t in own)}
                points += _line(source, (recipe, OVERALL, group), every)
    return points


def _line(source: Source, key: tuple[str, str, str], lines: dict[str, list]) -> list[dict[str, Any]]:
    """Return the points of one line; lines: seed -> one list of steps for each target that it is the mean of."""
    if len(lines) < len(source.spec["seeds"]):
        return []
    made = []
    for budget in _merged(sorted({b for several in lines.values() for line in several for b, _ in line})):
        values = [[_at(line, budget) for line in several] for several in lines.values()]
        if all(v is not None for several in values for v in several):
            means = [fmean(several) for several in values]
            known = dict(zip(("recipe", "target", "group"), key, strict=True))
            scores = {"score": fmean(means), "low": min(means), "high": max(means)}
            made.append({**known, "budget": short(budget), **{k: short(v) for k, v in scores.items()}})
    return made


def _merged(budgets: list[float]) -> list[float]:
    """Return budgets without those that another one follows at once: the mean of targets steps once for all."""
    return [b for b, after in zip(budgets, [*budgets[1:], float("inf")], strict=True) if after > b * NEAR]


def _at(line: list[tuple[float, float]], budget: float) -> float | None:
    """Return A(B): the value of the last step at or below a budget."""
    place = bisect_right([b for b, _ in line], budget)
    return line[place - 1][1] if place else None


def _tests(source: Source) -> list[dict[str, Any]]:
    """Return the claims at single budgets, each recipe a little beside the others."""
    rivals = [r for r in source.recipes if r != BASELINE]
    beside = min(BESIDE, APART ** (1 / max(len(rivals), 1)))
    tests = []
    for row in source.rows("claims/claims.csv"):
        if row["difference"] and not row["budget"].startswith("window") and row["recipe"] in rivals:
            budget, offset = float(row["budget"]), rivals.index(row["recipe"]) - (len(rivals) - 1) / 2
            numbers = {k: number(row[k]) for k in ("difference", "low", "high", "p_holm")}
            named = {k: row[k] for k in ("recipe", "target", "table", "line")}
            tests.append({**named, "budget": short(budget), "at": short(budget * beside**offset), **numbers})
    return tests


def _alt(points: list[dict[str, Any]], target: str) -> str:
    mine = [p for p in points if p["target"] == target and p["group"] == points[0]["group"]]
    ends = {p["recipe"]: p for p in mine}  # the last point of each line stays
    starts = {p["recipe"]: p for p in reversed(mine)}
    said = [f"{r} {starts[r]['score']:.1f} to {ends[r]['score']:.1f}" for r in ends]
    low, high = min(p["budget"] for p in mine), max(p["budget"] for p in mine)
    return (
        f"Score over inference budget, {target_name(target)}, {points[0]['group']}: from budget {low:.3g} to "
        f"{high:.3g} the score goes from and to {', '.join(said)}."
    )


def _body(source: Source, points: list, tests: list, targets: list[str], groups: list[str]) -> dict[str, Any]:
    places = [p["budget"] for p in points] + [t["at"] for t in tests]
    end = short(max(places) * 1.05)
    span = {"type": "log", "domain": [short(min(places) * 0.97), end], "nice": False}
    # More than the dearest configuration buys no more: lines and bands go on to the edge.
    last = {(p["recipe"], p["target"], p["group"]): p for p in points}
    drawn = [*points, *({**p, "budget": end, "end": True} for p in last.values())]
    words = f"inference budget: {source.budget_words} (log scale)"
    x = {"scale": span, "axis": {"format": "~g", "labelOverlap": "greedy", "grid": True}}
    marks, shown = marks_of(source.recipes, source.ranked), {"filter": "datum.target == pick_target"}
    line = {"color": marks["color"], "strokeDash": marks["strokeDash"]}
    score = {"x": numeric("budget", None, **x), "opacity": faded()}
    y = numeric("score", "score (0 to 100)", scale={"zero": False})
    seen = told(recipe="recipe", budget="budget", score="score", low="lowest seed", high="highest seed")
    y_low = {**y, "field": "low"}
    band = {"mark": {"type": "area", "interpolate": "step-after"}, "encoding": {
        **score, "color": marks["color"], "opacity": faded(full=0.1), "y": y_low, "y2": {"field": "high"},
    }}  # fmt: skip
    upper = {
        "width": WIDTH, "height": 240, "data": {"name": "curves"},
        "transform": [shown, {"filter": "datum.group == pick_languages"}],
        "layer": [
            band,
            {"mark": {"type": "line", "interpolate": "step-after", "strokeWidth": 2},
             "encoding": {**score, **line, "y": y}},
            {"params": [legend_choice()], "transform": [{"filter": "!datum.end"}],
             "mark": {"type": "point", "filled": True, "size": 55}, "encoding": {
                **score, "y": y, "color": marks["color"], "shape": marks["shape"], "tooltip": seen}},
        ],
    }  # fmt: skip
    test = {"x": numeric("at", words, **x), "color": marks["color"], "opacity": faded()}
    seen = told(
        recipe="recipe", budget="budget", difference="difference", low="low", high="high", p_holm="p after Holm"
    )
    lower = {
        "width": WIDTH, "height": 130, "data": {"name": "claims"}, "transform": [shown],
        "layer": [
            {"data": {"values": [{}]}, "mark": {"type": "rule", "color": "#6b6b6b"}, "encoding": {"y": {"datum": 0}}},
            {"mark": {"type": "rule", "strokeWidth": 1.6}, "encoding": {
                **test, "y": numeric("low", "difference to none, points"), "y2": {"field": "high"}}},
            {"mark": {"type": "point", "filled": True, "size": 60}, "encoding": {
                **test, "y": numeric("difference", "difference to none, points"), "shape": marks["shape"],
                "tooltip": seen}},
        ],
    }  # fmt: skip
    params = [select("pick_target", "target", targets, [target_name(t) for t in targets])]
    names = {OTHERS: "mean of all but the source"}
    params.append(select("pick_languages", "languages", groups, [names.get(g, g) for g in groups]))
    data = {"curves": drawn, "claims": [{k: v for k, v in t.items() if k not in ("table", "line")} for t in tests]}
    return {"params": params, "datasets": data, "vconcat": [upper, lower] if tests else [upper], "spacing": 12}
