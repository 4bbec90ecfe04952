"""What a job costs beside its work: in a process of its own, and forked from the resident worker.

The job is `python -m scripts.train_target --help`, which imports all that training imports, and ends.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.cold_start import python
from benchmarks.compare import CLOCKS, RECORDS, alternate, cpu_seconds, run_row

SIZES = {"jobs": 4, "repeats": 3}
CLIENT = RECORDS.parents[1] / "stilts" / "worker" / "client.py"
JOB = ("-S", "-E", str(CLIENT), "-m", "scripts.train_target", "--help")


def used_by(process: int) -> float:
    """Return the CPU seconds of another process and of the children that it has waited for."""
    fields = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def measure(jobs: int, repeats: int) -> dict[str, Any]:
    """Return seconds of `jobs` jobs of both sides, and whether they print the same."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "worker"
        command = [sys.executable, "-m", "stilts.worker.server", str(place)]
        server = subprocess.Popen(command, cwd=RECORDS.parents[1], env={**os.environ, "OMP_NUM_THREADS": "1"})
        try:
            while not place.exists() and server.poll() is None:
                time.sleep(0.05)
            clocks = {**CLOCKS, "cpu": lambda: cpu_seconds() + used_by(server.pid)}
            alone, forked = ([python(*JOB, STILTS_WORKER=where)] for where in ("", str(place)))
            sides = {
                "a process each": lambda: [python(*JOB, STILTS_WORKER="") for _ in range(jobs)],
                "ours": lambda: [python(*JOB, STILTS_WORKER=str(place)) for _ in range(jobs)],
            }
            found = alternate(sides, repeats, clocks)
        finally:
            server.terminate()
            server.wait()
    each = {side: round(seconds["cpu"] / jobs, 3) for side, seconds in found["seconds"].items()}
    return {
        "checked": "jobs print the same",
        "equal": alone == forked,
        **found,
        "figures": {f"CPU seconds of a job, {side}": value for side, value in each.items()},
    }


if __name__ == "__main__":
    sys.exit(run_row("worker", __doc__, measure, SIZES))
