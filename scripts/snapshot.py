"""Keep the current scores of an experiment under a name, to compare later runs with.

Usage: python -m scripts.snapshot [--name before] [--configfile experiments/paper.yaml] [--directory FOLDER]
Every finished run is kept without being asked; a name makes one easy to find.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stilts.compare.runs import keep_run
from stilts.compare.states import experiment_of
from stilts.errors import UserError
from stilts.pipe import quietly
from stilts.provenance.code import ROOT


def main(argv: list[str] | None = None) -> int:
    """Keep the scores; say where."""
    parser = argparse.ArgumentParser(prog="python -m scripts.snapshot", description=__doc__.splitlines()[0])
    parser.add_argument("--name", default="", help="a name for the kept run")
    parser.add_argument(
        "--configfile", type=Path, action="append", default=[], help="the experiment; none: config.yaml"
    )
    parser.add_argument("--directory", type=Path, default=Path(), help="folder that holds results/")
    args = parser.parse_args(argv)
    try:
        experiment = experiment_of(args.configfile, ROOT)
        run, new = keep_run(args.directory / "results" / experiment, ROOT, args.name)
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{'Kept' if new else 'These scores are kept already:'} {run.folder}", end="")
    print(f" ({', '.join(run.names)})" if run.names else "")
    return 0


if __name__ == "__main__":
    sys.exit(quietly(main))
