"""Say at the end of an invocation where the report lies and what it cost; keep its scores for later comparison.

Usage: python -m scripts.finish --root results/mini --started EPOCH --cpu SECONDS [--failed] [--scored]
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from stilts.compare.runs import keep_run
from stilts.errors import UserError
from stilts.pipe import quietly
from stilts.provenance.code import ROOT
from stilts.reruns.logs import failure

COMPUTE = {"pretrained", "intermediate", "target", "random-init", "predictions", "embeddings", "mined", "scores"}


def main(argv: list[str] | None = None) -> int:
    """Print the summary."""
    parser = argparse.ArgumentParser(prog="python -m scripts.finish")
    parser.add_argument("--root", type=Path, required=True)
    parser.add_argument("--started", type=float, required=True, help="when the invocation began, seconds since 1970")
    parser.add_argument("--cpu", type=float, required=True, help="CPU seconds of the controller and its jobs")
    parser.add_argument("--failed", action="store_true")
    parser.add_argument("--scored", action="store_true", help="scores.csv is what this invocation asked for")
    args = parser.parse_args(argv)
    files = [p for p in args.root.rglob("run.json") if p.stat().st_mtime >= args.started]
    runs = {p: _facts(p) for p in files}
    reused = sum(bool(run.get("reused")) for run in runs.values())
    own = {p: r.get("cpu_seconds", 0) - r.get("earlier_cpu_seconds", 0) for p, r in runs.items() if not r.get("reused")}
    inside = sum(seconds for p, seconds in own.items() if _computes(p, args.root))
    jobs = f"{len(runs)} jobs" + (
        f" ({reused} of them took the result of an equal job, from the store)" if reused else ""
    )
    wall = time.time() - args.started
    print(f"\n{jobs} in {_clock(wall)} wall, {_clock(args.cpu)} of CPU time", end="", file=sys.stderr)
    share = f", {100 * inside / args.cpu:.0f} % of it inside training and evaluation" if args.cpu else ""
    print(f"{share}.", file=sys.stderr)
    if args.failed:
        print(*_unfinished(args.root / "logs", args.started), sep="\n", file=sys.stderr)
    elif (args.root / "report" / "index.html").is_file():
        print(f"Scores: {args.root / 'scores.csv'}   Tables: {args.root / 'tables'}", file=sys.stderr)
        print(f"Report: {args.root / 'report' / 'index.html'}", file=sys.stderr)
    if args.scored and not args.failed:
        _keep(args.root)
    return 0


def _keep(root: Path) -> None:
    """Keep the scores unless they are kept already; what goes wrong here costs a message, never the run."""
    try:
        run, new = keep_run(root, ROOT)
    except (UserError, OSError) as error:
        print(f"note: the scores were not kept for `make compare`: {error}", file=sys.stderr)
        return
    if new:
        print(f"Kept:   {run.folder} (make compare, make leaderboard)", file=sys.stderr)


def _unfinished(logs: Path, started: float) -> list[str]:
    """Return what to say of a run that came to no end: a line for each log that ends in an error, what to do."""
    written = sorted(p for p in logs.rglob("*.log") if p.stat().st_mtime >= started)
    failed = {path.relative_to(logs): why for path in written if (why := failure(path))}
    told = [f"  {path}: {why}" for path, why in failed.items()]
    if all(why.startswith("error: stopped by ") for why in failed.values()):
        return [
            "The run was stopped before its end; what is done is kept. The same command goes on.",
            *told,
            f"Logs: {logs}",
        ]
    mend = f"Mend the cause, then run the same command again. Logs: {logs}"
    return ["Some jobs failed; what is done is kept:", *told, mend]


def _facts(run: Path) -> dict[str, Any]:
    """Return what a job noted of itself, nothing where that cannot be read: it costs a figure here, never the run."""
    try:
        facts = json.loads(run.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _computes(run: Path, root: Path) -> bool:
    parts = run.relative_to(root).parts
    return bool(COMPUTE & set(parts[:2]))


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


if __name__ == "__main__":
    sys.exit(quietly(main))
