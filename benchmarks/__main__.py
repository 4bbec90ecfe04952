"""The rows that can be measured, their goals and their last records.

Usage: python -m benchmarks   (make bench; a row itself: python -m benchmarks.ROW or make bench ROW=...)
"""

from __future__ import annotations

import sys

from benchmarks.goals import RATIOS, goals_of
from benchmarks.page import reading, records


def main() -> int:
    """Print a line a row."""
    found = records()
    for row in RATIOS:
        print(f"{row}: {'; '.join(goals_of(row)) or 'no goal'}")
        print(f"    {reading(found[row]) if row in found else 'no record'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
