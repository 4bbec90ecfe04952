"""Make the mini world: every raw file of every task, from its settings alone.

Usage: python -m scripts.make_world --spec JSON --output results/mini/world/manifest.json
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stilts.miniworld import write_world
from stilts.provenance.job import run_job
from stilts.provenance.manifest import write_manifest


def work(spec: dict, args: argparse.Namespace, folder: Path) -> dict:
    """Write the world; every task's folder gets a manifest of its own, so that tasks change one by one."""
    write_world(spec, folder, args.threads)
    tasks = sorted(p for p in folder.iterdir() if p.is_dir())
    for task in tasks:
        write_manifest(task)
    return {"tasks": [t.name for t in tasks], "run": {"processes": args.threads}}


if __name__ == "__main__":
    sys.exit(run_job(work, {}))
