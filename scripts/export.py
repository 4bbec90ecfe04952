"""Write the predictions of one arm as a submission: the folders and files that XTREME's evaluate.py reads.

Usage: python -m scripts.export --spec JSON --predictions predictions/.../xnli/.../manifest.json ...
       --data data/xnli/manifest.json ... [--tables tables/manifest.json] --output submission/x/manifest.json
--predictions: for each member of the spec one manifest for each recipe, in that order (retrieval: of the mined pairs);
--data: one for each member. Several recipes: the tables say which one a target takes (best-per-target).
"""

from __future__ import annotations

import csv
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from stilts.errors import UserError
from stilts.provenance.job import run_job
from stilts.provenance.manifest import read_manifest
from stilts.report.grid import ALL
from stilts.report.submission import EXAMPLES, PREDICTED, submission_files
from stilts.tasks.spec import TaskSpec


def work(spec: dict[str, Any], args: Namespace, folder: Path) -> dict[str, Any]:
    """Write `<name>/test-<language>.<suffix>` for every member; name what evaluate.py will miss."""
    chosen = _choices(spec, args.tables)
    recipes = spec["recipes"]
    missing = [f"{name}: {why}" for name, why in spec["absent"].items()]
    written: dict[str, int] = {}
    for number, member in enumerate(spec["members"]):
        task = TaskSpec.model_validate(member["task"])
        place = args.predictions[number * len(recipes) + recipes.index(chosen[task.task])].parent
        kept = "pairs.parquet" if task.retrieval else "predictions.parquet"
        predicted = pq.read_table(place / kept, columns=PREDICTED[task.kind]).to_pydict()
        data = args.data[number].parent
        examples = pq.read_table(data / "test.parquet", columns=EXAMPLES[task.kind]).to_pydict()
        dev = None
        if task.kind == "bitext_mining":
            dev = pq.read_table(data / "validation.parquet", columns=EXAMPLES[task.kind]).to_pydict()
        (folder / member["name"]).mkdir()
        names = []
        for name, text in submission_files(task, predicted, examples, spec["layer"], dev):
            (folder / member["name"] / name).write_text(text, encoding="utf-8", newline="")
            names.append(name.split(".")[0].removeprefix("test-"))
        written[member["name"]] = len(names)
        if lost := sorted(set(member["languages"]) - set(names)):
            missing.append(f"{member['name']}: no {', '.join(lost)}")
    print(f"{sum(written.values())} files of {len(written)} tasks")
    print(*(f"missing: {text}" for text in missing), sep="\n")
    return {"files": written, "missing": missing, "recipes": chosen}


def _choices(spec: dict[str, Any], tables: Path | None) -> dict[str, str]:
    """Return target -> recipe."""
    targets = [m["task"]["task"] for m in spec["members"]]
    if len(spec["recipes"]) == 1:
        return dict.fromkeys(targets, spec["recipes"][0])
    if tables is None:
        raise UserError("several recipes need --tables, which say what each target takes")
    read_manifest(tables)
    with (tables.parent / "best_per_target.csv").open(encoding="utf-8", newline="") as file:
        rows = [r for r in csv.DictReader(file) if r["average"] == ALL]
    found = {r["target"]: r["recipe"] for r in rows if [r["backbone"], r["budget_point"]] == spec["place"]}
    if lost := [t for t in targets if not found.get(t)]:
        raise UserError(f"no recipe can be chosen for {', '.join(lost)}: dev scores are missing (best_per_target.csv)")
    return {t: found[t] for t in targets}


if __name__ == "__main__":
    sys.exit(run_job(work, {"predictions": "+", "data": "+", "tables": "?"}))
