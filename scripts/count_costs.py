"""Count what predictions cost at every budget point, and what training cost: all that needs no clock.

Usage: python -m scripts.count_costs --spec JSON --models results/x/models --tokens results/x/tokens
       --output results/x/counted/manifest.json
Which folders below --models and --tokens are read follows from the spec. Writes costs.csv and training.csv.
"""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

from stilts.budget.count import point_rows
from stilts.budget.flops import shape_of
from stilts.budget.table import Cost, write_costs
from stilts.budget.training import COUNTED, PHASE, counted, example_of, phases_of, users
from stilts.metrics.table import write_csv
from stilts.provenance.job import run_job
from stilts.provenance.manifest import MANIFEST, read_manifest
from stilts.tokens.store import TokenSplit
from stilts.train.work import head_outputs


def work(spec: dict, args: Namespace, folder: Path) -> dict:
    """Write costs.csv (docs/budgets.md) and training.csv, one row a training run."""
    costs = list(_costs(spec, args))
    write_costs(folder / "costs.csv", costs)
    phases = phases_of(spec)
    shared = users(phases)
    rows = []
    for p in phases:
        found = counted(args.models / p.place)
        rows.append([*p[:6], *(f"{found[name]:.10g}" for name in COUNTED), shared[p.place]])
    write_csv(folder / "training.csv", (*PHASE, *COUNTED, "shared_by"), rows)
    return {"costs": len(costs), "phases": len(phases)}


def _costs(spec: dict, args: Namespace) -> Iterator[Cost]:
    for backbone in spec["backbones"]:
        for target, made in spec["targets"].items():
            split = TokenSplit(args.tokens / backbone / target, "test")
            outputs = head_outputs(
                made["kind"], 0 if split.kind.endswith("retrieval") else split.outputs(made["labels"])
            )
            for point in made["points"]:
                model = args.models / example_of(spec, backbone, target, point)
                shape = shape_of(json.loads((model / "config.json").read_text(encoding="utf-8")))
                files = read_manifest(model / MANIFEST)["files"].items()
                disk = sum(entry["bytes"] for name, entry in files if name.endswith(".safetensors"))
                for row in point_rows(split, made["how"][point], shape, outputs, disk):
                    layer, language, cost, value, unit, n = row
                    yield Cost(spec["experiment"], backbone, target, point, layer, language, cost, value, unit, None, n)


def read(spec: dict, args: Namespace) -> list[Path]:
    """Return the manifests that the work reads."""
    pairs = [(b, t, p) for b in spec["backbones"] for t, made in spec["targets"].items() for p in made["points"]]
    places = dict.fromkeys([*(p.place for p in phases_of(spec)), *(example_of(spec, *pair) for pair in pairs)])
    tokens = dict.fromkeys(args.tokens / b / t / f"test.{MANIFEST}" for b, t, _ in pairs)
    return [*(args.models / place / MANIFEST for place in places), *tokens]


if __name__ == "__main__":
    sys.exit(run_job(work, {"models": "", "tokens": ""}, reads=read))
