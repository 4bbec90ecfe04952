"""Measure what predicting a target costs at each of its budget points, all of them in turn in one process.

Usage: python -m scripts.profile_budget --spec JSON --models MODEL_MANIFEST ... --tokens tokens/mini/xquad/manifest.json
       --data data/xquad/manifest.json --tokenizer tokenizers/mini/manifest.json --output measured/.../manifest.json
--models: one of each depth of the points, in their order.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stilts.budget.arms import make_arm
from stilts.budget.profile import SPANS, measure
from stilts.budget.table import Cost, write_costs
from stilts.budget.training import depth_of
from stilts.metrics.table import write_csv
from stilts.model.device import best_device, prepare_torch
from stilts.provenance.job import run_job
from stilts.tokens.store import TokenSplit
from stilts.tokens.tokenizer import Tokenizer


def work(spec: dict, args: argparse.Namespace, folder: Path) -> dict:
    """Write costs.csv, and the seconds of every query in samples.csv."""
    prepare_torch(spec["threads"])
    device = best_device()
    split = TokenSplit(args.tokens.parent, "test")
    tokenizer = Tokenizer(args.tokenizer.parent)
    depths = dict.fromkeys(depth_of(p) for p in spec["points"])
    models = dict(zip(depths, (path.parent for path in args.models), strict=True))
    arms = [
        make_arm(p, models[depth_of(p)], split, args.data.parent, tokenizer, spec["how"][p], spec, device)
        for p in spec["points"]
    ]
    costs, place = [], (spec["experiment"], spec["backbone"], spec["target"])
    for point, found in measure(arms, spec["queries"], device).items():
        costs += [Cost(*place, point, spec["layer"], "", *m) for m in found]
    write_costs(folder / "costs.csv", costs)
    samples = [
        [arm.name, "AB"[twin], i, *(f"{s:.9f}" for s in spans)]
        for arm in arms
        for twin, queries in enumerate(arm.seconds)
        for i, spans in enumerate(queries)
    ]
    write_csv(folder / "samples.csv", ("point", "twin", "query", *SPANS), samples)
    return {"points": len(arms), "queries": spec["queries"]}


if __name__ == "__main__":
    inputs = {"models": "+", "tokens": "", "data": "", "tokenizer": ""}
    sys.exit(run_job(work, inputs, outside=True))
