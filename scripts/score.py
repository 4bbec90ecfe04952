"""Score one target's predictions in every language and protocol.

Usage: python -m scripts.score --spec JSON --predictions predictions/x/manifest.json --data data/x/manifest.json
       --output scores/x/manifest.json
For retrieval targets --predictions is the manifest of the mined pairs. Writes scores.csv and blocks.csv
(docs/results.md), and copies dev.json from beside the predictions.
"""

from __future__ import annotations

import json
import shutil
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from stilts.errors import UserError
from stilts.metrics.blocks import Blocks, judge_blocks, judge_pair_blocks, judge_rank_blocks, write_blocks
from stilts.metrics.judge import Judged, chance_controls, judge, judge_pairs, majority_controls
from stilts.metrics.judge_search import judge_mined, judge_ranks
from stilts.metrics.measure import Measure
from stilts.metrics.table import Score, write_scores
from stilts.provenance.job import run_job
from stilts.provenance.manifest import read_manifest
from stilts.tasks.spec import TaskSpec

COLUMNS = {
    "pair_classification": ["id", "language", "logits", "label"],
    "multiple_choice": ["id", "language", "logits", "label"],
    "token_tagging": ["id", "language", "tags", "gold"],
    "span_extraction": ["id", "language", "text"],
}


def work(spec: dict[str, Any], args: Namespace, folder: Path) -> dict[str, Any]:
    """Read predictions and gold, write scores.csv."""
    task = TaskSpec.model_validate(spec["task"])
    read_manifest(args.predictions)
    read_manifest(args.data)
    scores: list[Score] = []

    def add(recipe: str, protocol: str, language: str, measure: Measure) -> None:
        scores.append(
            Score(
                spec["experiment"], spec["backbone"], recipe, spec["target"], protocol, language,
                str(spec["budget_point"]), int(spec["seed"]), *measure,
            )
        )  # fmt: skip

    gold = ["id", "language"] + (["answers"] if task.kind == "span_extraction" else [])
    data = _read(args.data.parent / "test.parquet", gold)
    controls = spec.get("controls") and spec["recipe"] == "none"
    if task.retrieval:
        judged, blocks = _retrieved(task, spec, args.predictions.parent, args.data.parent)
        for found in judged:
            add(spec["recipe"], *found)
    else:
        predictions = _read(args.predictions.parent / "predictions.parquet", COLUMNS[task.kind])
        for found in judge(task, predictions, data):
            add(spec["recipe"], *found)
        blocks = judge_blocks(task, predictions, data)
        if controls:
            for found in majority_controls(task, predictions):
                add("majority", *found)
    chance = args.data.parent / "controls.json"
    if controls and task.kind == "span_extraction" and chance.is_file():
        for found in chance_controls(task, json.loads(chance.read_text(encoding="utf-8")), data):
            add("type-chance", *found)
    write_scores(folder / "scores.csv", scores)
    write_blocks(folder / "blocks.csv", blocks)
    dev = args.predictions.parent / "dev.json"
    if dev.is_file():  # what best-per-target is chosen by
        shutil.copyfile(dev, folder / "dev.json")
    return {"rows": len(scores), "languages": sorted({s.language for s in scores})}


def _retrieved(task: TaskSpec, spec: dict[str, Any], mined: Path, data: Path) -> tuple[Judged, Blocks]:
    """Return the measures and the blocks of a retrieval target; mining has none: its threshold is one for all pairs."""
    columns = ["id", "language", "side", "gold"]
    if task.dual:
        ranks, test = _read(mined / "ranks.parquet", ["query", "rank"]), _read(data / "test.parquet", columns)
        return judge_ranks(task, ranks, test), judge_rank_blocks(task, ranks, test)
    pooling, wanted = spec["retrieval"]["pooling"], ["language", "layer", "query", "match"]
    if task.kind == "bitext_mining":
        found = _read(mined / "pairs.parquet", [*wanted, "split", "score"])
        splits = {split: _read(data / f"{split}.parquet", columns) for split in ("validation", "test")}
        return judge_mined(task, found, pooling, splits), {}
    pairs, test = _read(mined / "pairs.parquet", wanted), _read(data / "test.parquet", ["id", "language"])
    # Blocks come second: they take for granted what judging checks.
    judged = list(judge_pairs(task, pairs, pooling, test))
    return iter(judged), judge_pair_blocks(pairs, pooling, test)


def _read(path: Path, columns: list[str]) -> dict[str, list]:
    if not path.is_file():
        raise UserError(f"{path} is missing: delete the folder's manifest and run the workflow again")
    names = pq.read_schema(path).names
    if lost := [c for c in columns if c not in names]:
        raise UserError(f"{path} has no column {', '.join(lost)}; it has {', '.join(names)}")
    return pq.read_table(path, columns=columns).to_pydict()


if __name__ == "__main__":
    sys.exit(run_job(work, {"predictions": "", "data": ""}))
