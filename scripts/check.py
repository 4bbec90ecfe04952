"""Hold the scores of an experiment against published numbers and say for each language whether they agree.

Usage: python -m scripts.check --spec JSON --tables x/tables/manifest.json --output x/checked/manifest.json
Writes checked.csv (docs/protocols.md) and prints one line a value. Differences are a finding, not a failure.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from stilts.metrics.table import read_scores, write_csv
from stilts.provenance.job import run_job
from stilts.provenance.manifest import read_manifest
from stilts.report.check import AGREE, DIFFER, NOTHING, Verdict, check, lines
from stilts.tasks.published import Published


def work(spec: dict[str, Any], args: Namespace, folder: Path) -> dict[str, Any]:
    """Read scores.csv, judge every published value, write and print the verdicts."""
    read_manifest(args.tables)
    scores = read_scores(args.tables.parent / "scores.csv")
    verdicts = check([Published(*row) for row in spec["published"]], scores)
    rows = [["" if x is None else f"{x:.6g}" if isinstance(x, float) else x for x in v] for v in verdicts]
    write_csv(folder / "checked.csv", Verdict._fields, rows)
    print(*lines(verdicts), sep="\n")
    return {k: sum(v.verdict == k for v in verdicts) for k in (AGREE, DIFFER, NOTHING)}


if __name__ == "__main__":
    sys.exit(run_job(work, {"tables": ""}))
