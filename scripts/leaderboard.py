"""Rank all kept runs and current results by their mean over targets, under the best recipe of each.

Usage: python -m scripts.leaderboard [--directory FOLDER] [--markdown | --json]
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from stilts.compare.leaderboard import NUMERIC, Entry, as_data, as_rows, by_targets, leaderboard
from stilts.compare.show import aligned, piped
from stilts.errors import UserError
from stilts.pipe import quietly


def main(argv: list[str] | None = None) -> int:
    """Print the leaderboard."""
    parser = argparse.ArgumentParser(prog="python -m scripts.leaderboard", description=__doc__.splitlines()[0])
    parser.add_argument("--directory", type=Path, default=Path(), help="folder that holds results/")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--markdown", action="store_true", help="as Markdown")
    form.add_argument("--json", action="store_true", help="as JSON, with the mean of every recipe and budget point")
    args = parser.parse_args(argv)
    try:
        entries, faults = leaderboard(args.directory / "results")
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    for fault in faults:
        print(f"note: left out: {fault}", file=sys.stderr)
    if args.json:
        print(json.dumps([as_data(entry) for entry in entries], indent=1, ensure_ascii=False))
    else:
        print(_tell(entries, args.markdown))
    return 0


def _tell(entries: list[Entry], markdown: bool) -> str:
    if not entries:
        return "No run is kept yet: `make reproduce` keeps one when it has finished."
    parts = []
    for targets, members in by_targets(entries).items():
        arms = {entry.best[:2] for entry in members if entry.best}
        at = f", {' at '.join(*arms)}" if len(arms) == 1 else ""
        title = f"Mean over {len(targets)} targets ({', '.join(targets)}), all languages{at}; means over seeds:"
        columns, rows = as_rows(members)
        lines = piped(columns, rows, NUMERIC) if markdown else aligned(columns, rows, NUMERIC)
        parts.append("\n".join([f"## {title[:-1]}", "", *lines] if markdown else [title, *lines]))
    return "\n\n".join(parts)


if __name__ == "__main__":
    sys.exit(quietly(main))
