"""The tables of docs/performance.md, from the records.

Usage: python -m benchmarks.page
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

from benchmarks.goals import RATIOS, goals_of, module_of, reached

HERE = Path(__file__).resolve().parent
PAGE = HERE.parent / "docs" / "performance.md"
BETWEEN = re.compile(r"(<!-- (ratios|runs): python -m benchmarks.page -->\n).*?(<!-- end -->)", re.DOTALL)
UNMEASURED = "unmeasured: no GPU was to be had"
Record = dict[str, Any]


def records(folder: Path = HERE / "records") -> dict[str, Record]:
    """Return row -> its last record."""
    found = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.json"))]
    return {record["row"]: record for record in found}


def reading(record: Record) -> str:
    """Return a record in one line."""
    said = [
        f"{side}: {ratio['cpu']:.2f} times our CPU time, {ratio['wall']:.2f} times our wall time"
        for side, ratio in record["ratios"].items()
    ]
    said += [f"{name}: {value:g}" for name, value in record.get("figures", {}).items()]
    return "; ".join([*said, record["checked"], f"{record['date']}, {record['commit']}"])


def render(text: str, found: dict[str, Record]) -> str:
    """Return the page with the tables of the records between its markers."""
    tables = {"ratios": ratios(found), "runs": runs(found)}
    return BETWEEN.sub(lambda m: m[1] + tables[m[2]] + m[3], text)


def ratios(found: dict[str, Record]) -> str:
    """Return the table of what was compared: one line a side that is not ours, and one a figure."""
    lines = ["| row | side | theirs, CPU s (wall s) | ours | ratio, CPU (least to most) | wall | goals |"]
    lines.append("|---|---|---|---|---|---|---|")
    for row in [*RATIOS, *sorted(set(found) - set(RATIOS))]:
        goals = goals_of(row)
        if row not in found:
            why = UNMEASURED if row.startswith("gpu_") else "unmeasured"
            lines.append(f"| {row} | {why}; `python {module_of(row)}` | | | | | {'; '.join(goals)} |")
            continue
        record, marks = found[row], []
        for goal, good in zip(goals, reached(record) if goals else [], strict=True):
            marks.append(f"{goal}: {'reached' if good else '**missed**'}")
        for k, (side, ratio) in enumerate(record["ratios"].items()):
            theirs, ours = (_seconds(record["seconds"][s]) for s in (side, "ours"))
            cells = [_ratio(ratio[c], record.get("spread", {}).get(side, {}).get(c)) for c in ("cpu", "wall")]
            lines.append(
                " | ".join([f"| {row}", side, theirs, ours, *cells, "; ".join(marks) if k == 0 else "", ""]).strip()
            )
        for name, value in record.get("figures", {}).items():
            lines.append(f"| {row} | {name} | | {value:g} | | | {'' if record['ratios'] else '; '.join(marks)} |")
    return "\n".join(lines) + "\n"


def runs(found: dict[str, Record]) -> str:
    """Return the table of where and how each row was measured, and what its sides' results had in common."""
    lines = [
        "| row | results | command | measured on | load, threads | versions | date, commit |",
        "|---|---|---|---|---|---|---|",
    ]
    for row, record in sorted(found.items()):
        machine, versions = record["machine"]["machine"], record["machine"]["versions"]
        device = "" if record["machine"]["device"] == "cpu" else f"{record['machine']['device']}; "
        cells = [row, "; ".join(filter(None, [record["checked"], record.get("note")])), f"`{record['command']}`"]
        cells += [f"{device}{record.get('processor', 'unknown')}, {machine['cores']} cores"]
        cells += [f"{record.get('load', 'unknown')}, {record['threads']}"]
        cells += [
            ", ".join(f"{n} {versions[n]}" for n in ("torch", "transformers", "numpy", "python") if n in versions)
        ]
        lines.append(f"| {' | '.join([*cells, ', '.join([record['date'], record['commit']])])} |")
    return "\n".join(lines) + "\n"


def _seconds(seconds: dict[str, float]) -> str:
    return f"{seconds['cpu']:.2f} ({seconds['wall']:.2f})"


def _ratio(value: float, spread: list[float] | None) -> str:
    return f"{value:.2f}" + (f" ({spread[0]:.2f} to {spread[1]:.2f})" if spread else "")


def main() -> int:
    """Write the page."""
    PAGE.write_text(render(PAGE.read_text(encoding="utf-8"), records()), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
