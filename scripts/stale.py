"""List what lies below an experiment's results and no rule makes any more; remove it on request.

Usage: python -m scripts.stale [--configfile experiments/paper.yaml] [--directory FOLDER] [--remove]
Kept runs, the store, other experiments and unfinished work of running jobs are never touched.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stilts.errors import UserError
from stilts.pipe import quietly
from stilts.reruns.stale import remove_stale, stale_of
from stilts.reruns.words import size


def main(argv: list[str] | None = None) -> int:
    """Print the list; remove what it names if asked to."""
    parser = argparse.ArgumentParser(prog="python -m scripts.stale", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--configfile", type=Path, action="append", default=[], help="the experiment; none: config.yaml"
    )
    parser.add_argument("--directory", type=Path, default=Path(), help="folder that holds results/")
    parser.add_argument("--remove", action="store_true", help="remove what is listed")
    args = parser.parse_args(argv)
    try:
        root, found = stale_of(args.configfile, args.directory)
        if not found:
            print(f"Nothing stale: rules make all that lies below {root}.")
            return 0
        for entry in found:
            print(f"{size(entry.size):>9}  {entry.files:>5} file{'s' if entry.files != 1 else ' '}  {entry.path}")
        total, shared = (sum(getattr(e, name) for e in found) for name in ("size", "shared"))
        print(f"{size(total):>9}  {sum(e.files for e in found):>5} files  in all", end="")
        print(f"; {size(shared)} of them lie in the store as well (make store-prune)" if shared else "")
        if args.remove:
            remove_stale(root, found)
        print("Removed." if args.remove else "No rule makes these any more. To remove them: --remove.")
    except BrokenPipeError:
        raise
    except (UserError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(quietly(main))
