"""Say what score each budget buys: curves, areas under them, Pareto fronts.

Usage: python -m scripts.curves --spec JSON --scores results/x/scores --costs results/x/counted/manifest.json
       [--curves-csv results/x/curves.csv] --output curves/manifest.json
Which files below --scores are read follows from the spec. Writes curves.csv, areas.csv, pareto.csv and curves.md
(docs/claims.md); --curves-csv receives a copy of the first.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from stilts.budget.curves import area_rows, curve_rows, pareto_rows
from stilts.budget.pages import curves_page
from stilts.budget.results import read_experiment, run_places
from stilts.metrics.table import write_csv
from stilts.provenance.job import run_job
from stilts.provenance.manifest import write_atomic


def work(spec: dict[str, Any], args: Namespace, folder: Path) -> dict[str, Any]:
    """Read scores and costs, write the tables."""
    experiment = read_experiment(spec, args.scores, args.costs.parent / "costs.csv")
    tables = {
        "curves": curve_rows(experiment),
        "areas": area_rows(experiment, *map(float, spec["budget"]["window"])),
        "pareto": pareto_rows(experiment),
    }
    for name, (columns, rows) in tables.items():
        write_csv(folder / f"{name}.csv", columns, rows)
    write_atomic(folder / "curves.md", curves_page(experiment.name, tables["areas"], tables["pareto"]))
    return {name: len(rows) for name, (_, rows) in tables.items()}


def score_files(spec: dict[str, Any], args: Namespace) -> list[Path]:
    """Return the manifest of every score that the spec describes."""
    return [place for _, place in run_places(spec, args.scores)]


if __name__ == "__main__":
    sys.exit(run_job(work, {"scores": "", "costs": ""}, reads=score_files, copies={"curves-csv": "curves.csv"}))
