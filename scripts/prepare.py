"""Canonical examples of one task.

Usage: python -m scripts.prepare --spec JSON --raw raw/x/manifest.json --output data/x/manifest.json
A union of tasks reads the examples of its members: --raw data/a/manifest.json data/b/manifest.json
spec: {"task": as in tasks/<task>.yaml, "provider": "mini" | "hub" | "local", "languages": [], "source_language": ""}
"""

from __future__ import annotations

import shutil
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from stilts.data.layout import Request
from stilts.data.prepare import prepare
from stilts.data.search import prepare_search
from stilts.data.text import prepare_text
from stilts.data.union import prepare_union
from stilts.provenance.job import run_job
from stilts.provenance.manifest import read_manifest

CONTROLS = "controls.json"  # scores of blind guessers that the mini world computes (type-chance)


def work(spec: dict[str, Any], args: Namespace, folder: Path) -> dict[str, Any]:
    """Read the folder of `args.raw` and write one parquet a split into `folder`."""
    request = Request.from_spec(spec)
    for manifest in args.raw:
        read_manifest(manifest)
    places, task = [manifest.parent for manifest in args.raw], request.task
    if task.union:
        facts = prepare_union(request, places, folder)
    else:
        search = task.dual or task.kind == "bitext_mining"
        run = prepare_text if task.kind == "masked_lm" else prepare_search if search else prepare
        facts = run(request, places[0], folder)
        if (places[0] / CONTROLS).is_file():
            shutil.copyfile(places[0] / CONTROLS, folder / CONTROLS)
    for split, rows in facts["rows"].items():
        print(f"{request.task.task} {split}: {sum(rows.values())} examples in {len(rows)} languages")
    for what, number in sorted(facts["quirks"].items()):
        print(f"  {what}: {sum(n for split in number.values() for n in split.values())}")
    return facts


if __name__ == "__main__":
    sys.exit(run_job(work, {"raw": "+"}, in_parts=True))
