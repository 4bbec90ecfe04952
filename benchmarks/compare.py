"""Sides of a comparison timed in turn in one process, and the record of a row."""

from __future__ import annotations

import argparse
import json
import os
import re
import resource
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
Clocks = dict[str, Callable[[], float]]


def cpu_seconds() -> float:
    """Return the CPU seconds of this process and of the children that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


CLOCKS: Clocks = {"cpu": cpu_seconds, "wall": time.perf_counter}


def alternate(sides: dict[str, Callable[[], Any]], repeats: int, clocks: Clocks = CLOCKS) -> dict[str, Any]:
    """Run all sides `repeats` times in turn, in alternating order, after one run of each that does not count.

    The last side is ours. Returns by side and clock: median seconds; how many times as long as ours the others take,
    as the median over the repeats of the ratio within one repeat; the least and the largest of these ratios.
    """
    for run in sides.values():
        run()
    taken: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    for turn in range(repeats):
        for side in list(sides) if turn % 2 else list(reversed(sides)):
            start = {name: clock() for name, clock in clocks.items()}
            sides[side]()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            taken[side].append({name: clock() - start[name] for name, clock in clocks.items()})
    *others, ours = sides
    ratios = {s: {c: [a[c] / b[c] for a, b in zip(taken[s], taken[ours], strict=True)] for c in clocks} for s in others}
    return {
        "seconds": {s: {c: round(median(t[c] for t in times), 5) for c in clocks} for s, times in taken.items()},
        "ratios": {s: {c: round(median(r), 3) for c, r in by.items()} for s, by in ratios.items()},
        "spread": {s: {c: [round(min(r), 3), round(max(r), 3)] for c, r in by.items()} for s, by in ratios.items()},
        "repeats": repeats,
    }


def run_row(row: str, doc: str, measure: Callable[..., dict[str, Any]], sizes: dict[str, int], argv=None) -> int:
    """Measure a row with sizes from the command line, print it, and write its record; the exit status.

    measure(**sizes) returns what `alternate` does, `checked` (what was compared of the sides' results, in words) and
    `equal` (whether that holds); also `figures`, numbers by name. Status 1, and no record, where it does not hold.
    """
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{row}", description=doc.splitlines()[0])
    for name, value in sizes.items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, default=value, help=f"default {value}")
    parser.add_argument("--record", type=Path, help="file for the record (default: benchmarks/records/ROW.json)")
    args = vars(parser.parse_args(argv))
    file = args.pop("record") or RECORDS / f"{row}.json"
    command = " ".join([f"python -m benchmarks.{row}", *(argv if argv is not None else sys.argv[1:])])
    return keep(row, doc, measure(**args), args, command, file)


def keep(row: str, doc: str, found: dict[str, Any], sizes: dict[str, Any], command: str, file: Path) -> int:
    """Print what a row found and write its record, unless the sides' results differ; the exit status."""
    for side, seconds in found["seconds"].items():
        print(f"{side}: {seconds['cpu']:.3f} CPU-s, {seconds['wall']:.3f} s")
    for side, ratio in found["ratios"].items():
        print(f"{side} takes {ratio['cpu']:.2f} times our CPU time, {ratio['wall']:.2f} times our wall time")
    for name, figure in found.get("figures", {}).items():
        print(f"{name}: {figure:g}")
    print(f"results: {found['checked']}")
    if not found.pop("equal", True):
        print("error: the sides' results differ, so their times say nothing; no record is written", file=sys.stderr)
        return 1
    record = {
        "row": row,
        "what": doc.splitlines()[0],
        **found,
        "sizes": sizes,
        "command": command.strip(),
        "commit": _commit(),
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "threads": torch.get_num_threads(),
        "load": round(os.getloadavg()[0], 2),
        "processor": _processor(),
        "machine": environment(),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return 0


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--exclude=*"]
    return subprocess.run(command, cwd=RECORDS.parent, capture_output=True, text=True, check=False).stdout.strip()


def _processor() -> str:
    about = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.+)", about.read_text(encoding="utf-8")) if about.is_file() else None
    return found[1] if found else "unknown"
