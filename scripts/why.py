"""Say what the next run would do, and why; nothing is run or changed.

Usage: python -m scripts.why [--configfile experiments/paper.yaml] [--directory FOLDER] [--json] [TARGET ...]
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from stilts.errors import UserError
from stilts.pipe import quietly
from stilts.provenance.code import ROOT
from stilts.reruns.causes import planned_jobs
from stilts.reruns.plan import plan_of
from stilts.reruns.words import tell


def main(argv: list[str] | None = None) -> int:
    """Print the plan in words or as JSON."""
    parser = argparse.ArgumentParser(prog="python -m scripts.why", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--configfile", type=Path, action="append", default=[], help="the experiment; none: config.yaml"
    )
    parser.add_argument("--directory", type=Path, default=Path(), help="folder that holds results/")
    parser.add_argument("--json", action="store_true", help="one JSON list of jobs with their causes")
    parser.add_argument("targets", nargs="*", help="rules or files; none: the whole study")
    args = parser.parse_args(argv)
    try:
        with plan_of(args.configfile, args.directory, args.targets) as plan:
            jobs = planned_jobs(plan.dag, plan.globals["CONFIG"], ROOT)
            total = sum(1 for job in plan.dag.jobs if job.output)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps([asdict(j) for j in jobs], indent=1, ensure_ascii=False) if args.json else tell(jobs, total))
    return 0


if __name__ == "__main__":
    sys.exit(quietly(main))
