"""Gather every score of an experiment and write its tables.

Usage: python -m scripts.summarise --spec JSON --scores results/x/scores [--scores-csv results/x/scores.csv]
       --output tables/manifest.json
Which files below --scores are read follows from the spec, never from what lies there. Writes scores.csv and the
tables of docs/results.md; --scores-csv receives a copy of the former.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from stilts.metrics.table import Score, read_scores, write_csv, write_scores
from stilts.provenance.job import run_job
from stilts.report.grid import ScoreGrid
from stilts.report.tables import all_tables
from stilts.tasks.arms import arms_of


def work(spec: dict[str, Any], args: Namespace, folder: Path) -> dict[str, Any]:
    """Read all scores.csv, check them against the grid, write the tables."""
    scores: list[Score] = []
    for manifest in score_files(spec, args):
        scores += read_scores(manifest.parent / "scores.csv")
    grid = ScoreGrid(spec, scores)
    write_scores(folder / "scores.csv", grid.scores)
    counts = {}
    for name, (columns, rows) in all_tables(grid, spec.get("language_names", {})).items():
        write_csv(folder / f"{name}.csv", columns, rows)
        counts[name] = len(rows)
    if counts["missing"]:
        print(
            f"{counts['missing']} scores or groups of scores are missing: see missing.csv; means over them are left out"
        )
    return {"scores": len(scores), "tables": counts}


def score_files(spec: dict[str, Any], args: Namespace) -> list[Path]:
    """Return the manifest of every score of the grid that the spec describes."""
    names = ("backbones", "recipes", "seeds", "controls", "control_seeds")
    return [
        args.scores / backbone / recipe / task["task"] / point / f"s{seed}" / "manifest.json"
        for task in spec["targets"]
        for backbone, recipe, seed in arms_of(task["kind"], *(spec[n] for n in names))
        for point in spec["budget_points"][task["task"]]
    ]


if __name__ == "__main__":
    sys.exit(run_job(work, {"scores": ""}, reads=score_files, copies={"scores-csv": "scores.csv"}))
