"""Our scorers against XTREME's own: on made files whose official scores are kept, and on its mock predictions.

The made files and their scores are tests/golden/xtreme.json, by tests/golden_xtreme.py. The mock predictions belong to
that project: STILTS_XTREME names a checkout of it (google-research/xtreme, commit 838c13b); the values are those of its
evaluate_test.py.
"""

from __future__ import annotations

import json
import os
import statistics
from pathlib import Path

import pytest

from stilts.metrics.classification import accuracy
from stilts.metrics.qa import mlqa_normaliser, qa_measures, squad_normalise
from stilts.metrics.ranking import average_precision, mean_reciprocal_rank, pair_f1
from stilts.metrics.tagging import seqeval_f1, xtreme_f1
from stilts.tasks.benchmarks import EXPORTED, benchmarks
from stilts.tasks.registry import get_task

GOLDEN = json.loads((Path(__file__).parent / "golden" / "xtreme.json").read_text(encoding="utf-8"))
RANKED = [case for case in GOLDEN if case["task"] == "lareqa"]
SCORED = [case for case in GOLDEN if case["task"] != "lareqa"]
HERE = Path(os.environ.get("STILTS_XTREME") or "nowhere") / "mock_test_data"
MEMBERS = {m.name: m for b in benchmarks() for m in b.members}
MOCK = {
    "pawsx": {"accuracy": 51.42857},
    "xnli": {"accuracy": 30.66667},
    "tatoeba": {"accuracy": 53.61111},
    "udpos": {"f1": 70.21746, "seqeval-f1": 70.3981},
    "panx": {"f1": 57.50794, "seqeval-f1": 57.50794},
    "xquad": {"f1": 79.95868, "exact_match": 77.27273},
    "mlqa": {"f1": 81.76871, "exact_match": 57.14286},
    "tydiqa": {"f1": 97.22222, "exact_match": 88.88889},
    "bucc2018": {"f1": 55.0, "precision": 55.0, "recall": 55.0},
    "mewslix": {"map@20": 14.39025},
}


def ours(task: str, language: str, predicted: str, gold: str) -> dict[str, float]:
    """Return our scores of two files in XTREME's layout, by its names of the metrics."""
    if task in ("udpos", "panx"):
        both = [[block.split("\n") for block in text.strip("\n").split("\n\n")] for text in (predicted, gold)]
        return {"f1": xtreme_f1(*both).value, "seqeval-f1": seqeval_f1(*both).value}
    if task in ("xquad", "mlqa", "tydiqa"):
        answers = json.loads(predicted)
        asked = [q for d in json.loads(gold)["data"] for p in d["paragraphs"] for q in p["qas"]]
        normalise = mlqa_normaliser(language) if task == "mlqa" else squad_normalise
        golds = [[a["text"] for a in q["answers"]] for q in asked]
        return {m.metric: m.value for m in qa_measures([answers.get(q["id"], "") for q in asked], golds, normalise)}
    if task == "bucc2018":
        found, right = set(predicted.splitlines()), set(gold.splitlines())
        return {m.metric: m.value for m in pair_f1(len(found), len(found & right), len(right))}
    if task == "mewslix":
        ranked = json.loads(predicted)
        places = [(ranked.get(i, []), right) for i, (right,) in json.loads(gold).items()]
        return {"map@20": mean_reciprocal_rank([r.index(x) + 1 if x in r else None for r, x in places]).value}
    rows = [text.splitlines() for text in (predicted, gold)]
    number = {label: k for k, label in enumerate(sorted({*rows[0], *rows[1]}))}
    return {"accuracy": accuracy(*([number[x] for x in side] for side in rows)).value}


@pytest.mark.parametrize("case", SCORED, ids=[f"{c['task']}-{c['language']}" for c in SCORED])
def test_scores_of_made_files_are_the_official_ones(case):
    found = ours(case["task"], case["language"], case["predictions"], case["labels"])
    wanted = {k: v for k, v in case["scores"].items() if k in found}
    assert wanted
    assert {k: found[k] for k in wanted} == pytest.approx(wanted, abs=1e-9)


def test_every_task_that_evaluate_reads_has_a_made_file():
    wanted = {m.name for m in MEMBERS.values() if get_task(m.task).kind in EXPORTED}
    assert {case["task"] for case in SCORED} == wanted
    assert {case["language"] for case in SCORED if case["task"] == "mlqa"} == set(MEMBERS["mlqa"].languages)


@pytest.mark.parametrize("case", RANKED)
def test_average_precision_is_the_official_one(case):
    ranks = [case["ranked"].index(t) + 1 for t in case["targets"] if t in case["ranked"]]
    found = average_precision(ranks, len(case["targets"]), case["top"] or 0)
    assert found == pytest.approx(case["scores"]["map"], abs=1e-12)


@pytest.mark.skipif(not HERE.is_dir(), reason="STILTS_XTREME names no checkout of google-research/xtreme")
@pytest.mark.parametrize("task", MOCK)
def test_scores_of_the_mock_predictions_are_the_stated_ones(task):
    suffix = "json" if task in ("xquad", "mlqa", "tydiqa", "mewslix") else "tsv"
    found: dict[str, list[float]] = {}
    languages = next(m.languages for b in benchmarks() for m in b.members if m.name == task)
    for language in languages:
        name = f"{task}/test-{language}.{suffix}"
        texts = [(HERE / side / name).read_text(encoding="utf-8") for side in ("predictions", "labels")]
        for metric, value in ours(task, language, *texts).items():
            found.setdefault(metric, []).append(value)
    assert {k: statistics.fmean(v) for k, v in found.items()} == pytest.approx(MOCK[task], abs=1e-4)
