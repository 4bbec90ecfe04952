"""Tables of curves and claims as Markdown, for reading: four digits, and what has no value in one line each."""

from __future__ import annotations

from collections.abc import Sequence

from stilts.budget.curves import OVERALL, Rows

Record = dict[str, str]
SHOWN = ("recipe", "target", "budget", "none", "score", "difference", "low", "high", "p_holm", "detectable", "note")
NUMBERS = {"published", "estimate", "none", "score", "difference", "low", "high", "p_holm", "detectable", "area"}


def claims_page(title: str, claims: Rows, paper: Rows) -> str:
    """Return the paper's claims, then each recipe at each budget, the mean over all targets first."""
    checks, records = _records(paper), _records(claims)
    known = [r for r in records if r["difference"]]
    lines = [f"# Claims: {title}", "", "## What the paper claims", ""]
    lines += _table(("claim", "verdict", "published", "estimate", "low", "high", "reason"), checks)
    lines += ["", *(f"Scope: {scope}." for scope in dict.fromkeys(r["scope"] for r in checks))]
    lines += ["", "## Mean over all targets, against `none`", ""]
    lines += _table(SHOWN, [r for r in known if r["target"] == OVERALL])
    lines += ["", "## Target by target, against `none`", ""]
    lines += _table(SHOWN, [r for r in known if r["target"] != OVERALL])
    lost = _grouped([r for r in records if not r["difference"]], "budget")
    return "\n".join([*lines, *(["", "## Without a value", "", *lost] if lost else [])]) + "\n"


def curves_page(title: str, areas: Rows, pareto: Rows) -> str:
    """Return the areas, and the configurations that no other one beats for less."""
    records, points = _records(areas), _records(pareto)
    known = [r for r in records if r["area"]]
    lines = [f"# Curves: {title}", "", "## Area under the curve, seed by seed", ""]
    lines += _table(("recipe", "target", "seed", "low", "high", "area", "note"), known)
    lines += ["", "## Pareto fronts, by test scores: nothing is chosen by them", ""]
    on = [r for r in points if r["on_front"] == "yes"]
    lines += _table(("recipe", "target", "backbone", "point", "budget", "score", "note"), on)
    lost = _grouped([r for r in records if not r["area"]], "seed")
    return "\n".join([*lines, *(["", "## Without a value", "", *lost] if lost else [])]) + "\n"


def _records(rows: Rows) -> list[Record]:
    columns, cells = rows
    return [dict(zip(columns, line, strict=True)) for line in cells]


def _grouped(records: Sequence[Record], column: str) -> list[str]:
    """Return one line for each reason: what it leaves without a value."""
    places: dict[str, list[str]] = {}
    for r in records:
        places.setdefault(r["note"], []).append(f"{r['recipe']} > {r['target']} ({column} {r[column]})")
    return [f"- {note}: {', '.join(names)}" for note, names in places.items()]


def _table(columns: Sequence[str], records: Sequence[Record]) -> list[str]:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    body = [line([_short(r[c]) if c in NUMBERS else r[c] for c in columns]) for r in records]
    return [line([c.replace("_", " ") for c in columns]), line(["---"] * len(columns)), *body]


def _short(text: str) -> str:
    return f"{float(text):.4g}" if text else ""
