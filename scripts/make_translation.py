"""Training rows of a task of the mini world in another of its languages.

Usage: python -m scripts.make_translation --spec JSON --output world/mnli.qab/manifest.json
spec: {"world": as in make_world, "task": "mnli", "language": "qab"}
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stilts.miniworld.translations import write_translation
from stilts.provenance.job import run_job


def work(spec: dict, args: argparse.Namespace, folder: Path) -> dict:
    """Write the rows in the configuration and the split of the task."""
    return {"rows": write_translation(spec["world"], spec["task"], spec["language"], folder)}


if __name__ == "__main__":
    sys.exit(run_job(work, {}))
