"""Sides of a comparison timed in turn in one process, and the record of a row."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import torch

from stilts.provenance.machine import environment

RECORDS = Path(__file__).resolve().parent / "records"
CLOCKS = {"cpu": time.process_time, "wall": time.perf_counter}


def alternate(sides: dict[str, Callable[[], Any]], repeats: int) -> dict[str, Any]:
    """Run all sides `repeats` times in turn, in alternating order, after one run of each that does not count.

    The last side is ours. Returns median seconds of each side by clock, and how many times as long the others take:
    the median over the repeats of the ratio within one repeat.
    """
    for run in sides.values():
        run()
    taken: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    for turn in range(repeats):
        for side in list(sides) if turn % 2 else list(reversed(sides)):
            start = {name: clock() for name, clock in CLOCKS.items()}
            sides[side]()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            taken[side].append({name: clock() - start[name] for name, clock in CLOCKS.items()})
    *others, ours = sides
    return {
        "seconds": {s: {c: round(median(t[c] for t in times), 5) for c in CLOCKS} for s, times in taken.items()},
        "ratios": {
            side: {
                c: round(median(a[c] / b[c] for a, b in zip(taken[side], taken[ours], strict=True)), 3) for c in CLOCKS
            }
            for side in others
        },
        "repeats": repeats,
    }


def run_row(row: str, doc: str, measure: Callable[..., dict[str, Any]], sizes: dict[str, int], argv=None) -> int:
    """Measure a row with sizes from the command line, print it, and write its record; the exit status."""
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{row}", description=doc.splitlines()[0])
    for name, value in sizes.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value, help=f"default {value}")
    parser.add_argument("--record", type=Path, help="file for the record (default: benchmarks/records/ROW.json)")
    args = vars(parser.parse_args(argv))
    file = args.pop("record") or RECORDS / f"{row}{'' if _device() == 'cpu' else '_gpu'}.json"
    found = measure(**args)
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"], cwd=RECORDS.parent, capture_output=True, text=True, check=False
    )
    record = {
        "row": row,
        **found,
        "sizes": args,
        "command": " ".join([f"python -m benchmarks.{row}", *(argv if argv is not None else sys.argv[1:])]),
        "commit": commit.stdout.strip(),
        "date": datetime.now(UTC).date().isoformat(),
        "threads": torch.get_num_threads(),
        "machine": environment(),
    }
    for side, seconds in found["seconds"].items():
        print(f"{side}: {seconds['cpu']:.3f} CPU-s, {seconds['wall']:.3f} s")
    for side, ratio in found["ratios"].items():
        print(f"{side} takes {ratio['cpu']:.2f} times our CPU time, {ratio['wall']:.2f} times our wall time")
    print(f"results: {found['checked']}")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return 0


def _device() -> str:
    return "cuda" if torch.cuda.is_available() else "cpu"
