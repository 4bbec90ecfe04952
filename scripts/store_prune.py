"""Remove entries of the store that no result here is linked to and that were not used for some days.

Usage: python -m scripts.store_prune [--store FOLDER | --configfile experiments/paper.yaml] [--days 30] [--dry-run]
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import time
from contextlib import suppress
from pathlib import Path

from stilts.compare.states import store_of
from stilts.errors import UserError
from stilts.pipe import quietly
from stilts.provenance.code import ROOT
from stilts.provenance.manifest import KEY
from stilts.provenance.store import FILES, Entry, leftovers, prunable, remove
from stilts.reruns.words import size


def main(argv: list[str] | None = None) -> int:
    """List what is removed, then remove it."""
    parser = argparse.ArgumentParser(prog="python -m scripts.store_prune", description=__doc__.splitlines()[0])
    parser.add_argument("--store", type=Path, help="the store; none: the experiment's")
    parser.add_argument(
        "--configfile", type=Path, action="append", default=[], help="the experiment; none: config.yaml"
    )
    parser.add_argument("--directory", type=Path, default=Path(), help="folder that holds results/")
    parser.add_argument("--days", type=float, default=30, help="days without use; default 30")
    parser.add_argument("--dry-run", action="store_true", help="list only")
    args = parser.parse_args(argv)
    if args.days < 0:
        parser.error("--days: 0 or more")
    try:
        store = store_of(args.store, args.configfile, ROOT, args.directory)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    everything, going, rest = list(store.entries()), prunable(store, args.days), leftovers(store, args.days)
    for entry in sorted(going, key=lambda e: (e.used, e.place)):
        print(f"{size(entry.size):>9}  {_age(entry)}  {_rule(entry):<18}  {entry.place}")
    for path in rest:
        print(f"{'':>9}  {'':>13}  {'(left over)':<18}  {path}")
    total, whole = (sum(e.size for e in entries) for entries in (going, everything))
    print(f"{len(going)} of {len(everything)} entries, {size(total)} of {size(whole)}; ", end="")
    print("the others are linked to results here, or were used " + f"in the last {args.days:g} days.")
    if args.dry_run:
        return 0
    return _remove(going, rest)


def _remove(going: list[Entry], rest: list[Path]) -> int:
    """Remove entries and leftovers; 1 where another user's cannot be."""
    failed = 0
    for entry in going:
        try:
            remove(entry)
            with suppress(OSError):
                entry.place.parent.rmdir()  # the two digits, once empty
        except OSError as error:
            failed += 1
            print(f"note: {entry.place} stays: {error.strerror or error}", file=sys.stderr)
    for path in rest:
        shutil.rmtree(path, ignore_errors=True)
    print(f"Removed {len(going) - failed} entries.")
    return 1 if failed else 0


def _age(entry: Entry) -> str:
    return f"{max(0.0, time.time() - entry.used) / 86400:>8.1f} days"


def _rule(entry: Entry) -> str:
    try:
        return str(json.loads((entry.place / FILES / KEY).read_text(encoding="utf-8"))["rule"])
    except (OSError, ValueError, KeyError, TypeError):
        return "(unknown)"


if __name__ == "__main__":
    sys.exit(quietly(main))
