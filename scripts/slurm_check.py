"""Look at the SLURM cluster and print the lines of a profile that fit it; one short job asks for a GPU.

Usage: python -m scripts.slurm_check [--no-job]
"""

from __future__ import annotations

import argparse
import re
import sys

from stilts.errors import UserError
from stilts.pipe import quietly
from stilts.slurm.check import check, try_gpu


def main(argv: list[str] | None = None) -> int:
    """Print what was found; the exit status is 1 where something will not work."""
    parser = argparse.ArgumentParser(prog="python -m scripts.slurm_check", description=__doc__.splitlines()[0])
    parser.add_argument("--no-job", action="store_true", help="submit nothing")
    args = parser.parse_args(argv)
    try:
        found = check()
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    gpu = [p for line in found.lines for p in re.findall(r"train_target:slurm_partition='(.+)'", line)]
    if gpu and not args.no_job:
        try:
            found.facts.append(try_gpu(gpu[0]))
        except UserError as error:
            found.faults.append(str(error))
    print(*found.facts, sep="\n")
    print("\nLines for profiles/slurm/config.yaml:\n", *found.lines, sep="\n")
    for fault in found.faults:
        print(f"\nproblem: {fault}")
    return 1 if found.faults else 0


if __name__ == "__main__":
    sys.exit(quietly(main))
