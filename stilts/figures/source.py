"""What figures are made of: rows of finished tables, each with its place, and what a study says of them."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from stilts.budget.curves import OVERALL
from stilts.errors import UserError

Row = dict[str, str]
BASELINE = "none"
MEAN = "mean of all targets"
AXES = {
    "flops": ("FLOPs", "FLOPs an example"),
    "flops_slots": ("FLOPs, padding included", "FLOPs an example, padding included"),
    "memory": ("weights in memory", "bytes of weights in memory"),
    "disk": ("size on disk", "bytes on disk"),
    "latency_p50": ("median latency", "median latency, seconds"),
    "latency_p90": ("90 % latency", "90 % latency, seconds"),
    "latency_p99": ("99 % latency", "99 % latency, seconds"),
    "energy": ("energy", "joules an example"),
}
STAND_IN = {
    True: "Stand-in: artificial languages and a tiny encoder. Nothing follows for real languages or for XLM-R.",
    False: "Stand-in: a tiny encoder, pretrained by the workflow on little text. Nothing follows for XLM-R.",
}


class Figure(NamedTuple):
    """A figure: its name, title, caption, alt text, Vega-Lite specification, and the rows that are plotted.

    caption: what the marks, bars and bands mean. rows: cells below `columns`; `table` and `line` lead to the row of
    the table that a value came from (the header is line 1; no line: a mean over several rows).
    """

    name: str
    title: str
    caption: str
    description: str
    spec: dict[str, Any]
    columns: Sequence[str]
    rows: Sequence[Sequence[Any]]


class Absent(NamedTuple):
    """A figure that a study has no rows for, and why."""

    name: str
    title: str
    reason: str


class Source:
    """The finished tables of an experiment. spec: that of rule `figures`; root: the folder that holds the tables."""

    def __init__(self, spec: dict[str, Any], root: Path) -> None:
        self.spec, self.root = spec, root
        self.recipes: list[str] = sorted(spec["recipes"], key=lambda r: r != BASELINE)
        self.shown = [*self.recipes, *spec["controls"]]
        self.targets: list[str] = list(spec["targets"])
        self.backbones: list[str] = list(spec["backbones"])
        self.how: dict[str, Any] = spec["budget"]

    def rows(self, name: str) -> list[Row]:
        """Return the rows of a table such as `claims/claims.csv`, with `table` and `line`; raises UserError."""
        path = self.root / name
        if not path.is_file():
            raise UserError(f"{path} is missing: delete that folder's manifest and run the workflow again")
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.DictReader(file)
            return [{**row, "table": name, "line": str(reader.line_num)} for row in reader]

    @property
    def points(self) -> list[tuple[str, str]]:
        """Backbones with their budget points, the uncut one first."""
        return [(b, p) for b in self.backbones for p in self.spec["points"]]

    def headlines(self) -> dict[tuple[str, str, str], str]:
        """Return (backbone, budget point, target) -> the protocol that enters averages."""
        return {
            (*place(r), r["target"]): r["protocol"] for r in self.rows("tables/targets.csv") if r["headline"] == "yes"
        }

    @cached_property
    def ranked(self) -> list[str]:
        """The recipes, the baseline first, then by their mean difference to it at the largest budget."""
        found = [r for r in self.rows("claims/claims.csv") if r["target"] == OVERALL and r["difference"]]
        tests = [r for r in found if not r["budget"].startswith("window")]
        tests.sort(key=lambda r: float(r["budget"]))
        gain = {r["recipe"]: float(r["difference"]) for r in tests}  # the last one, of the largest budget, stays
        return sorted(self.recipes, key=lambda r: (r != BASELINE, r not in gain, -gain.get(r, 0.0)))

    @property
    def subtitle(self) -> list[str]:
        """What stands below every title."""
        return [STAND_IN[self.spec["made_up"]]] if self.spec["stand_in"] else []

    @property
    def level(self) -> str:
        """The confidence of intervals, such as `95 %`."""
        return f"{100 * (1 - float(self.how['alpha'])):.3g} %"

    @property
    def budget_words(self) -> str:
        """What budgets are counted in."""
        share, unit = AXES.get(self.how["axis"], (self.how["axis"],) * 2)
        return f"share of the uncut model’s {share}" if self.how["scale"] == "share" else unit

    def budget_name(self, budget: str) -> str:
        """Return a budget in words."""
        if budget.startswith("window "):
            low, high = budget.removeprefix("window ").split("-")
            return f"mean over budgets {low} to {high}"
        if self.how["scale"] == "share":
            share = f"{100 * float(budget):.4g} % of the inference cost"
            return "full inference cost" if float(budget) == 1 else share
        return f"budget {float(budget):.4g}"


def place(row: Row) -> tuple[str, str]:
    """Return backbone and budget point of a row."""
    return row["backbone"], row["budget_point"]


def target_name(target: str) -> str:
    """Return how a target is shown."""
    return MEAN if target == OVERALL else target


def number(text: str) -> float | None:
    """Return the number of a cell; an empty one has none."""
    return float(f"{float(text):.6g}") if text not in ("", "nan") else None


def short(value: float) -> float:
    """Return a value with six significant digits: what is plotted is as long as what tables say."""
    return float(f"{value:.6g}")


def signed(value: float) -> str:
    """Return a difference with its sign and one decimal; no minus before zero."""
    text = f"{abs(value):.1f}"
    return text if text == "0.0" else f"{'+' if value > 0 else '−'}{text}"


def minus(value: float) -> str:
    """Return a value with one decimal and a true minus."""
    return f"{value:.1f}".replace("-0.0", "0.0").replace("-", "−")
