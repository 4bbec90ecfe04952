"""Wait for the SLURM jobs that an ended run of Snakemake left running here, so that none is submitted twice.

Usage: python -m scripts.slurm_wait [--directory FOLDER]
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from stilts.slurm.queue import left_behind

PAUSE = 5.0  # seconds between two questions to SLURM


def main(argv: list[str] | None = None) -> int:
    """Return when none of them is left."""
    parser = argparse.ArgumentParser(prog="python -m scripts.slurm_wait", description=__doc__.splitlines()[0])
    parser.add_argument("--directory", type=Path, default=Path(), help="folder that holds results/")
    args = parser.parse_args(argv)
    told = 0
    while jobs := left_behind(args.directory):
        if len(jobs) != told:
            ids = " ".join(jobs)
            print(f"Waiting for {len(jobs)} jobs that an earlier run left in the queue ({ids}).", file=sys.stderr)
            print("Their results are used. To do without them: scancel, then run again.", file=sys.stderr, flush=True)
        told = len(jobs)
        time.sleep(PAUSE)
    return 0


if __name__ == "__main__":
    sys.exit(main())
