"""Gather every score of an experiment and write its tables.

Usage: python -m scripts.summarise --spec JSON --scores results/x/scores [--scores-csv results/x/scores.csv]
       --output tables/manifest.json
Which files below --scores are read follows from the spec, never from what lies there. Writes scores.csv and the
tables of docs/results.md; --scores-csv receives a copy of the former.
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stilts.metrics.table import Score, read_scores, write_csv, write_scores
from stilts.provenance.job import run_job
from stilts.report.benchmarks import further_tables
from stilts.report.choice import Dev
from stilts.report.grid import Arm, ScoreGrid
from stilts.report.tables import all_tables
from stilts.tasks.arms import runs_of


def work(spec: dict[str, Any], args: Namespace, folder: Path) -> dict[str, Any]:
    """Read all scores.csv, check them against the grid, write the tables."""
    scores: list[Score] = []
    dev: list[Dev] = []
    for arm, target, seed, manifest in score_places(spec, args.scores):
        scores += read_scores(manifest.parent / "scores.csv")
        if (manifest.parent / "dev.json").is_file():
            found = json.loads((manifest.parent / "dev.json").read_text(encoding="utf-8"))
            dev.append(Dev(arm, target, seed, found["task"], found["value"]))
    grid = ScoreGrid(spec, scores)
    write_scores(folder / "scores.csv", grid.scores)
    tables = all_tables(grid, spec.get("language_names", {})) | further_tables(grid, dev, spec)
    counts = {}
    for name, (columns, rows) in tables.items():
        write_csv(folder / f"{name}.csv", columns, rows)
        counts[name] = len(rows)
    if counts["missing"]:
        print(
            f"{counts['missing']} scores or groups of scores are missing: see missing.csv; means over them are left out"
        )
    return {"scores": len(scores), "tables": counts}


def score_files(spec: dict[str, Any], args: Namespace) -> list[Path]:
    """Return the manifest of every score of the grid that the spec describes."""
    return [manifest for *_, manifest in score_places(spec, args.scores)]


def score_places(spec: dict[str, Any], folder: Path) -> Iterator[tuple[Arm, str, int, Path]]:
    """Yield (arm, target, seed, manifest) of every score of the grid that the spec describes."""
    names = ("backbones", "recipes", "seeds", "controls", "control_seeds")
    for task in spec["targets"]:
        target = task["task"]
        for backbone, recipe, seed, point in runs_of(
            task["kind"], spec["budget_points"][target], *(spec[n] for n in names)
        ):
            place = folder / backbone / recipe / target / point / f"s{seed}"
            yield Arm(backbone, point, recipe), target, seed, place / "manifest.json"


if __name__ == "__main__":
    sys.exit(run_job(work, {"scores": ""}, reads=score_files, copies={"scores-csv": "scores.csv"}))
