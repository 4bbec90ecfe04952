"""Join what was counted and what was measured: costs of predictions, of training, of recipes.

Usage: python -m scripts.costs --spec JSON --counted counted/manifest.json --models results/x/models
       [--measured measured/mini/xquad/manifest.json ...] --output costs/manifest.json [--costs-csv results/x/costs.csv]
Seconds, memory and energy of training are those of the runs whose models are here (their run.json): nothing runs again
because they changed.
"""

from __future__ import annotations

import csv
import sys
from argparse import Namespace
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stilts.budget.table import read_costs, write_costs
from stilts.budget.training import COLUMNS, RECIPE_COLUMNS, measured, phases_of, recipe_rows
from stilts.metrics.table import write_csv
from stilts.provenance.job import run_job


def work(spec: dict, args: Namespace, folder: Path) -> dict:
    """Write costs.csv, training_costs.csv and recipe_costs.csv (docs/budgets.md)."""
    costs = read_costs(args.counted.parent / "costs.csv")
    for path in args.measured or []:
        costs += read_costs(path.parent / "costs.csv")
    write_costs(folder / "costs.csv", costs)
    phases = phases_of(spec)
    with (args.counted.parent / "training.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    done: dict[str, dict[str, Any]] = {}
    for phase, row in zip(phases, rows, strict=True):
        found = measured(args.models / phase.place)
        note = found.get("energy_note", "") if found else "its run.json is gone"
        done[phase.place] = row | found | {"note": note, "flops": float(row["flops"])}
    write_table(folder / "training_costs.csv", COLUMNS, done.values())
    write_table(folder / "recipe_costs.csv", RECIPE_COLUMNS, recipe_rows(phases, done))
    return {"costs": len(costs), "phases": len(phases)}


def write_table(path: Path, columns: Iterable[str], rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows by the names of their columns; what a row does not have is an empty cell."""
    columns = list(columns)
    cells = [[row.get(c) for c in columns] for row in rows]
    write_csv(path, columns, [[f"{v:.10g}" if isinstance(v, float) else v for v in row] for row in cells])


if __name__ == "__main__":
    inputs = {"counted": "", "models": "", "measured": "*"}
    copies = {name.replace(".", "-").replace("_", "-"): name for name in ("costs.csv", "training_costs.csv")}
    sys.exit(run_job(work, inputs, copies=copies, outside=True))
