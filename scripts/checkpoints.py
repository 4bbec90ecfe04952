"""List the training that was stopped and not yet taken up again; remove what lies there for long.

Usage: python -m scripts.checkpoints [--folder results/.checkpoints] [--days 30] [--remove]
The state of a job that is done is removed by itself. A job that is no longer asked for leaves its own behind.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

from safetensors import safe_open

from stilts.provenance.attempts import Attempts, unfinished
from stilts.reruns.words import size


def main(argv: list[str] | None = None) -> int:
    """Print one line a job; remove the old ones if asked to."""
    parser = argparse.ArgumentParser(prog="python -m scripts.checkpoints", description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("results/.checkpoints"), help="`runtime.checkpoints`")
    parser.add_argument("--days", type=float, default=30, help="untouched for as many days is old; default 30")
    parser.add_argument("--remove", action="store_true", help="remove what is old and in no job's use")
    args = parser.parse_args(argv)
    found = unfinished(args.folder) if args.folder.is_dir() else []
    now, removed = time.time(), 0
    for job in found:
        files = [p.stat() for p in job.folder.iterdir()]
        days = (now - max((s.st_mtime for s in files), default=now)) / 86400
        line = f"{size(sum(s.st_size for s in files)):>9}  {days:>5.1f} days  {_what(job):<60}  {job.folder}"
        if args.remove and days >= args.days and job.hold():
            job.forget()
            removed += 1
            line += "  removed"
        print(line)
    print(
        f"{len(found)} unfinished job{'s' * (len(found) != 1)} in {args.folder}" + f", {removed} removed" * args.remove
    )
    return 0


def _what(job: Attempts) -> str:
    """Return what a job makes and how far it came."""
    for path in sorted(job.folder.glob("*.safetensors"), reverse=True):
        try:
            with safe_open(path, framework="np") as file:
                facts = json.loads(bytes(file.get_tensor("facts")))
            return f"{facts['what']}, step {facts['numbers']['step']}"
        except Exception:  # damaged: safetensors and json have an error each
            continue
    return "(nothing readable)"


if __name__ == "__main__":
    sys.exit(main())
