"""Parts of the page about budgets: the answer, tested differences, the paper's claims, costs (rows in, cells out)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from stilts.report.answer import Row, count, listed, signed
from stilts.report.tables import OVERALL

COSTS = {
    "flops": ("GFLOP an example", 1e-9),
    "memory": ("weights, MB", 1e-6),
    "disk": ("on disk, MB", 1e-6),
    "latency_p50": ("latency p50, ms", 1e3),
    "latency_p90": ("latency p90, ms", 1e3),
    "throughput": ("examples a second", 1.0),
    "memory_peak": ("peak memory, MB", 1e-6),
    "energy": ("energy, J", 1.0),
    "energy_above_idle": ("energy above idle, J", 1.0),
}
MARKS = {"within the spread of": "≈", "too noisy": "?"}  # by what a measurement's note says
VERDICTS = {
    "reproduced": ("✓", "yes"),
    "contradicted": ("✗", "no"),
    "undecided": ("≈", ""),
    "not testable here": ("?", ""),
}


def budgets_of(claims: Sequence[Row]) -> list[str]:
    """Return the budgets of the claims, the largest first; windows are left out."""
    return sorted({r["budget"] for r in claims if not r["budget"].startswith("window")}, key=float, reverse=True)


def sure(row: Row, alpha: float) -> int:
    """Return 1 or -1 where the difference holds after Holm's correction, else 0."""
    holds = row["p_holm"] and float(row["p_holm"]) < alpha
    return (1 if float(row["difference"]) > 0 else -1) if holds else 0


def budget_answer(claims: Sequence[Row], how: dict[str, Any]) -> tuple[str, str, list[str]]:
    """Return (a headline, one leading sentence, further sentences) from table `claims`; empty where no mean is tested.

    how: the settings `budget`, for the error rate and the cost that budgets are counted in.
    """
    tested = [r for r in claims if r["low"] and r["high"]]
    means = [r for r in tested if r["target"] == OVERALL]
    budgets = budgets_of(means)
    if not budgets:
        return "", "", []
    alpha = float(how["alpha"])
    blocks = [[r for r in means if r["budget"] == b] for b in budgets]
    lead, *more = (_lead(rows, alpha, affords(b, how)) for rows, b in zip(blocks, budgets, strict=True))
    single = [r for r in tested if r["target"] != OVERALL and not r["budget"].startswith("window")]
    if single:
        up, down = (sum(sure(r, alpha) == sign for r in single) for sign in (1, -1))
        size = f"of {len(single)} differences (recipe × target × budget)"
        found = f"{up + down} {size} hold" if up + down else f"none {size} holds"
        which = f": gains {up}, losses {down}; the others are open" if up + down else ""
        more.append(f"Target by target, {found} after correction for their number{which}.")
    if uncut := same_at_all(tested, budgets):
        it = "it is" if len(uncut) == 1 else "they are"
        more.append(f"The smallest budget takes nothing from {listed(uncut)}: {it} in every mean with the same scores.")
    return _headline(blocks, alpha, affords(budgets[-1], how)), lead, [*more, *_unsaid(blocks[0], alpha)]


def same_at_all(claims: Sequence[Row], budgets: Sequence[str]) -> list[str]:
    """Return the targets for which all of several budgets buy the same scores, in every recipe."""
    scores: dict[str, dict[str, list[tuple[str, str]]]] = {}
    for r in claims:
        if r["target"] != OVERALL and r["budget"] in budgets:
            scores.setdefault(r["target"], {}).setdefault(r["recipe"], []).append((r["none"], r["score"]))

    def same(found: list[tuple[str, str]]) -> bool:
        return len(found) == len(budgets) > 1 and len(set(found)) == 1

    return [target for target, of in scores.items() if all(map(same, of.values()))]


def _headline(blocks: Sequence[Sequence[Row]], alpha: float, smallest: str) -> str:
    """Return the answer in a few words: which recipes gain at the largest budget, and which at the smallest."""
    gains, late = ([r["recipe"] for r in rows if sure(r, alpha) > 0] for rows in (blocks[0], blocks[-1]))
    lost = [r["recipe"] for r in blocks[0] if sure(r, alpha) < 0]
    tested = f"{count(len(blocks[0]))} recipe{'s' * (len(blocks[0]) > 1)}"
    there = f"{smallest[0].lower()}{smallest[1:]}"
    last = f"; {there}, with {_named(late) if late else 'none'}" if len(blocks) > 1 and (gains or late) else ""
    if not gains:
        loss = f", and a loss with {_named(lost)}" if lost else ""
        return f"Not shown for any of {tested}{loss}{last}."
    same = len(blocks) > 1 and set(late) == set(gains)
    return f"Yes, with {count(len(gains))} of {tested} ({_named(gains)}){f', also {there}' if same else last}."


def _named(recipes: Sequence[str]) -> str:
    return listed(recipes) if len(recipes) < 4 else f"{count(len(recipes))} recipes"


def affords(budget: str, how: dict[str, Any]) -> str:
    """Return a budget in words."""
    if how.get("scale") == "share":
        return (
            "At full inference cost" if float(budget) == 1 else f"At {100 * float(budget):.3g} % of the inference cost"
        )
    return f"At an inference cost of {float(budget):.4g} ({how.get('axis', 'cost')})"


def interval(row: Row) -> str:
    """Return `[1.0 to 2.0]`, or nothing."""
    return f"[{_minus(row['low'])} to {_minus(row['high'])}]" if row["low"] and row["high"] else ""


def _lead(rows: Sequence[Row], alpha: float, start: str) -> str:
    level = f"{100 * (1 - alpha):.3g} %"
    groups = {
        sign: [r for r in sorted(rows, key=lambda r: -float(r["difference"])) if sure(r, alpha) == sign]
        for sign in (1, -1, 0)
    }

    def said(rows: Sequence[Row]) -> str:
        return listed(
            [f"{r['recipe']} ({signed(r['difference'])} points, {level} interval {interval(r)})" for r in rows]
        )

    parts = [f"raised the mean score in the other languages with {said(groups[1])}"] if groups[1] else []
    it = "it" if parts else "the mean score in the other languages"
    parts += [f"lowered {it} with {said(groups[-1])}"] if groups[-1] else []
    if parts:
        rest = f"; with {listed([r['recipe'] for r in groups[0]])} the difference may be chance" if groups[0] else ""
        return f"{start}, intermediate training {' and '.join(parts)}{rest}."
    best = groups[0][0]
    return (
        f"{start}, no recipe’s mean score in the other languages can be told from that without intermediate training "
        f"after correction for the number of tests; the highest is {said([best])}."
    )


def _unsaid(rows: Sequence[Row], alpha: float) -> list[str]:
    """Say what the seeds at hand could have found, so that an open question is not read as no effect."""
    sizes = [float(r["detectable"]) for r in rows if r["detectable"] and not sure(r, alpha)]
    seeds = max(int(r["seeds"]) for r in rows)
    text = f"What cannot be said: with {count(seeds)} seeds, "
    if not sizes:
        return [f"{text}how other encoders, other recipes or more training would do."]
    low, high = f"{min(sizes):.1f}", f"{max(sizes):.1f}"
    size = f"{low} points" if low == high else f"{low} to {high} points, depending on the recipe,"
    return [f"{text}a true mean difference smaller than {size} would be missed more often than 1 time in 5."]


def gain_tables(claims: Sequence[Row], recipes: Sequence[str], how: dict[str, Any]) -> list[dict[str, Any]]:
    """Return one table a budget: recipes by targets, the difference to `none` with its interval."""
    cells = {(r["budget"], r["recipe"], r["target"]): r for r in claims}
    targets = list(dict.fromkeys(r["target"] for r in claims))
    targets.sort(key=lambda t: t != OVERALL)
    tables = []
    for budget in budgets_of(claims):
        found = [r for r in recipes if (budget, r, targets[0]) in cells]
        rows = [{"recipe": r, "cells": [_gain(cells.get((budget, r, t)), how, t) for t in targets]} for r in found]
        tables.append({"caption": f"{affords(budget, how)}: difference to none, points", "rows": rows})
    return [{**t, "heads": ["mean of all targets" if t == OVERALL else t for t in targets]} for t in tables]


def _gain(row: Row | None, how: dict[str, Any], target: str) -> dict[str, Any]:
    blank = {"difference": "–", "interval": "", "sign": "", "tone": "", "total": target == OVERALL}
    if row is None or not row["difference"]:
        return {**blank, "interval": row["note"] if row else ""}
    sign = sure(row, float(how["alpha"]))
    tone = ("down", "flat", "up")[sign + 1]
    return {
        **blank, "difference": signed(row["difference"]), "sign": "▼≈▲"[sign + 1], "tone": tone,
        "interval": interval(row) or row["note"],
    }  # fmt: skip


def verdicts(paper: Sequence[Row]) -> list[dict[str, str]]:
    """Return the paper's claims as a list."""
    shown = []
    for row in paper:
        sign, tone = VERDICTS.get(row["verdict"], ("?", ""))
        ours = f"{signed(row['estimate'])} {interval(row)}".strip() if row["estimate"] else ""
        if row["unit"] != "points" and row["estimate"]:
            mean, *ends = [_minus(row[k], ".3g") for k in ("estimate", "low", "high") if row[k]]
            ours = " ".join([mean, *([f"[{' to '.join(ends)}]"] if ends else []), row["unit"]])
        theirs = signed(row["published"]) if row["published"] else ""
        reason = row["reason"][:1].upper() + row["reason"][1:]
        shown.append({**row, "sign": sign, "tone": tone, "ours": ours, "theirs": theirs, "reason": reason})
    return shown


def count_verdicts(shown: Sequence[dict[str, str]]) -> str:
    """Return how many claims ended how."""
    many = {verdict: sum(row["verdict"] == verdict for row in shown) for verdict in VERDICTS}
    return f"Of {len(shown)} claims: {', '.join(f'{n} {verdict}' for verdict, n in many.items())}."


def cost_tables(costs: Sequence[Row]) -> list[dict[str, Any]]:
    """Return one table a target: budget points by costs; columns without any value are left out."""
    tables = []
    for target in dict.fromkeys(r["target"] for r in costs):
        mine = [r for r in costs if r["target"] == target and r["language"] in ("", "mean")]
        # Of a swept target the last hidden state, which is the whole encoder of that depth.
        last = {p: max([int(r["layer"]) for r in mine if r["layer"] and _place(r) == p], default=None) for p in
                dict.fromkeys(map(_place, mine))}  # fmt: skip
        cells = {(_place(r), r["cost"]): r for r in mine if not r["layer"] or int(r["layer"]) == last[_place(r)]}
        names = [n for n in COSTS if any(cells.get((p, n), {}).get("value") for p in last)]
        several = len({backbone for backbone, _ in last}) > 1
        rows = [
            {"place": " ".join(p[not several :]), "numbers": [_cost(cells.get((p, n)), n) for n in names]} for p in last
        ]
        tables.append({"target": target, "heads": [COSTS[n][0] for n in names], "rows": rows})
    return tables


def training_table(costs: Sequence[Row], claims: Sequence[Row]) -> list[dict[str, str]]:
    """Return what the intermediate phase of each recipe cost (mean over seeds), beside its gain at the full budget."""
    whole = next(iter(budgets_of(claims)), "")
    gains = {r["recipe"]: r for r in claims if (r["target"], r["budget"]) == (OVERALL, whole)}
    rows = []
    for backbone, recipe in dict.fromkeys((r["backbone"], r["recipe"]) for r in costs):
        mine = [r for r in costs if (r["backbone"], r["recipe"]) == (backbone, recipe)]
        # The intermediate phase is the same whatever the target: one value a seed.
        once = {r["seed"]: float(r["flops_intermediate"]) for r in mine if r["flops_intermediate"]}
        target = [float(r["flops_target"]) for r in mine if r["flops_target"]]
        gain = gains.get(recipe)
        rows.append(
            {
                "recipe": recipe,
                "backbone": backbone,
                "intermediate": f"{sum(once.values()) / len(once) / 1e12:.4g}" if once else "–",
                "target": f"{sum(target) / len(target) / 1e12:.4g}" if target else "–",
                "gain": f"{signed(gain['difference'])} {interval(gain)}".strip() if gain and gain["difference"] else "",
            }
        )
    return rows


def _place(row: Row) -> tuple[str, str]:
    return row["backbone"], row["point"]


def _cost(row: Row | None, name: str) -> str:
    if not row or not row["value"]:
        return "–"
    marks = "".join(mark for words, mark in MARKS.items() if words in row["note"])
    return f"{float(row['value']) * COSTS[name][1]:.3g} {marks}".strip()


def _minus(text: str, form: str = ".1f") -> str:
    return format(float(text), form).replace("-", "−")
