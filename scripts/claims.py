"""Test whether intermediate training pays at each budget, and hold the paper's claims against the experiment.

Usage: python -m scripts.claims --spec JSON --scores results/x/scores --costs results/x/counted/manifest.json
       [--claims-csv results/x/claims.csv] --output claims/manifest.json
Which files below --scores are read follows from the spec. Writes claims.csv, paper.csv and claims.md (docs/claims.md);
--claims-csv receives a copy of the first. Prints the verdict on each claim of the paper.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from collections import Counter
from pathlib import Path
from typing import Any

from stilts.budget.claims import budget_claims, claim_rows
from stilts.budget.pages import claims_page
from stilts.budget.paper import PAPER, paper_rows
from stilts.budget.results import read_experiment, run_places
from stilts.metrics.table import write_csv
from stilts.provenance.job import run_job
from stilts.provenance.manifest import write_atomic
from stilts.tasks.claims import Claim


def work(spec: dict[str, Any], args: Namespace, folder: Path) -> dict[str, Any]:
    """Read scores and costs, test the claims, write the tables."""
    counted, joined = (args.costs.parent / name for name in ("training.csv", "training_costs.csv"))
    training = counted if counted.is_file() else joined
    experiment, how = read_experiment(spec, args.scores, args.costs.parent / "costs.csv", training), spec["budget"]
    claims = claim_rows(experiment, budget_claims(experiment, how), how)
    paper = paper_rows(experiment, [Claim.model_validate(c) for c in spec["claims"]], how, spec["stand_in"])
    for name, (columns, rows) in {"claims": claims, "paper": paper}.items():
        write_csv(folder / f"{name}.csv", columns, rows)
    write_atomic(folder / "claims.md", claims_page(experiment.name, claims, paper))
    verdicts = [row[PAPER.index("verdict")] for row in paper[1]]
    for row, verdict in zip(paper[1], verdicts, strict=True):
        print(f"{row[0]}: {verdict}: {row[PAPER.index('reason')]}")
    return {"claims": len(claims[1]), "paper": dict(sorted(Counter(verdicts).items()))}


def score_files(spec: dict[str, Any], args: Namespace) -> list[Path]:
    """Return the manifest of every score that the spec describes."""
    return [place for _, place in run_places(spec, args.scores)]


if __name__ == "__main__":
    sys.exit(run_job(work, {"scores": "", "costs": ""}, reads=score_files, copies={"claims-csv": "claims.csv"}))
