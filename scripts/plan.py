"""Say what a study will cost before anything is submitted, and afterwards how well that was said.

Usage: python -m scripts.plan [--configfile experiments/paper.yaml] [--directory FOLDER] [--gpus 8] [--cpus 32]
       [--tflops 250] [--measured results/OTHER] [--stated] [--json] [TARGET ...]
Finished jobs correct the rates by what they took (run.json): the study's own, or those of --measured.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from stilts.errors import UserError
from stilts.pipe import quietly
from stilts.plan.seconds import GPU_RATE, Rates
from stilts.plan.study import plan_study
from stilts.plan.words import as_json, tell
from stilts.reruns.plan import plan_of


def main(argv: list[str] | None = None) -> int:
    """Print the plan in words or as JSON."""
    parser = argparse.ArgumentParser(prog="python -m scripts.plan", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--configfile", type=Path, action="append", default=[], help="the experiment; none: config.yaml"
    )
    parser.add_argument("--directory", type=Path, default=Path(), help="folder that holds results/")
    parser.add_argument("--gpus", type=int, default=8, help="most GPUs at once")
    parser.add_argument("--cpus", type=int, default=32, help="most CPU jobs at once")
    parser.add_argument("--tflops", type=float, default=GPU_RATE / 1e12, help="what one GPU does, 10^12 FLOP/s")
    parser.add_argument("--measured", type=Path, help="results of another run, whose times correct the rates")
    parser.add_argument("--stated", action="store_true", help="no correction by finished jobs")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    parser.add_argument("targets", nargs="*", help="rules or files; none: the whole study")
    args = parser.parse_args(argv)
    rates, measured = Rates(gpu=args.tflops * 1e12), args.measured and args.measured.resolve()
    try:
        if min(args.gpus, args.cpus) < 1 or args.tflops <= 0:
            raise UserError("--gpus, --cpus and --tflops must be positive")
        with plan_of(args.configfile, args.directory, args.targets) as workflow:
            plan = plan_study(workflow, args.directory.resolve(), rates, measured, args.stated)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(
        json.dumps(as_json(plan, rates, args.gpus, args.cpus), indent=1)
        if args.json
        else tell(plan, rates, args.gpus, args.cpus)
    )
    return 0


if __name__ == "__main__":
    sys.exit(quietly(main))
