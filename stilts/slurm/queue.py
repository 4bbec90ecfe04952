"""Which SLURM jobs an ended run of Snakemake left behind in a folder: they still run and will make their results."""

from __future__ import annotations

import getpass
import shutil
import subprocess
from pathlib import Path

from stilts.reruns.lock import held

STARTS = ("rule_", "group_")  # of the comments that the SLURM executor gives its jobs


def left_behind(folder: Path) -> list[str]:
    """Return the numbers of the SLURM jobs of a working directory that no run of Snakemake looks after any more."""
    if shutil.which("squeue") is None or held(folder / ".snakemake"):
        return []
    command = ["squeue", "--noheader", "--user", getpass.getuser(), "--format", "%i|%Z|%k"]
    done = subprocess.run(command, text=True, capture_output=True, check=False, timeout=60)
    rows = [line.split("|", 2) for line in done.stdout.splitlines() if line.count("|") >= 2]
    here = folder.resolve()
    return [job for job, place, comment in rows if Path(place).resolve() == here and comment.startswith(STARTS)]
