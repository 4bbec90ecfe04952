"""Our scorers on XTREME's own mock predictions: the values that its evaluate_test.py and README state.

The files belong to that project: STILTS_XTREME names a checkout of it (google-research/xtreme, commit 838c13b).
"""

from __future__ import annotations

import json
import os
import statistics
from pathlib import Path

import pytest

from stilts.metrics.classification import accuracy
from stilts.metrics.qa import mlqa_normaliser, qa_measures, squad_normalise
from stilts.metrics.ranking import mean_reciprocal_rank, pair_f1
from stilts.metrics.tagging import seqeval_f1, xtreme_f1
from stilts.tasks.benchmarks import benchmark_of

HERE = Path(os.environ.get("STILTS_XTREME") or "nowhere") / "mock_test_data"
pytestmark = pytest.mark.skipif(not HERE.is_dir(), reason="STILTS_XTREME names no checkout of google-research/xtreme")
LANGUAGES = {m.name: m.languages for b in ("xtreme_r", "xtreme") for m in benchmark_of(b).members}


def both(task, suffix="tsv"):
    """Yield (language, predicted text, gold text)."""
    for language in LANGUAGES[task]:
        name = f"{task}/test-{language}.{suffix}"
        yield language, *((HERE / side / name).read_text(encoding="utf-8") for side in ("predictions", "labels"))


def sentences(text):
    return [block.split("\n") for block in text.strip("\n").split("\n\n")]


@pytest.mark.parametrize(("task", "golden"), [("pawsx", 51.42857), ("xnli", 30.66667), ("tatoeba", 53.61111)])
def test_accuracy(task, golden):
    found = []
    for _, predicted, gold in both(task):
        number = {label: k for k, label in enumerate(sorted({*predicted.split(), *gold.split()}))}
        found.append(accuracy(*([number[x] for x in text.split()] for text in (predicted, gold))).value)
    assert statistics.fmean(found) == pytest.approx(golden, abs=1e-5)


@pytest.mark.parametrize(
    ("task", "scorer", "golden"),
    [
        ("udpos", xtreme_f1, 70.21746),
        ("udpos", seqeval_f1, 70.3981),
        ("panx", xtreme_f1, 57.50794),
        ("panx", seqeval_f1, 57.50794),
    ],
)
def test_chunks(task, scorer, golden):
    found = [scorer(sentences(predicted), sentences(gold)).value for _, predicted, gold in both(task)]
    assert statistics.fmean(found) == pytest.approx(golden, abs=1e-4)


@pytest.mark.parametrize(
    ("task", "f1", "exact_match"),
    [("xquad", 79.95868, 77.27273), ("mlqa", 81.76871, 57.14286), ("tydiqa", 97.22222, 88.88889)],
)
def test_answers(task, f1, exact_match):
    found = []
    for language, predicted, gold in both(task, "json"):
        answers = json.loads(predicted)
        asked = [q for d in json.loads(gold)["data"] for p in d["paragraphs"] for q in p["qas"]]
        normalise = mlqa_normaliser(language) if task == "mlqa" else squad_normalise
        golds = [[a["text"] for a in q["answers"]] for q in asked]
        found.append([m.value for m in qa_measures([answers.get(q["id"], "") for q in asked], golds, normalise)])
    assert [statistics.fmean(v) for v in zip(*found, strict=True)] == pytest.approx([f1, exact_match], abs=1e-5)


def test_mined_pairs():
    found = []
    for _, predicted, gold in both("bucc2018"):
        ours, theirs = set(predicted.splitlines()), set(gold.splitlines())
        found.append([m.value for m in pair_f1(len(ours), len(ours & theirs), len(theirs))])
    assert [statistics.fmean(v) for v in zip(*found, strict=True)] == pytest.approx([55.0, 55.0, 55.0])


def test_entities():
    found = []
    for _, predicted, gold in both("mewslix", "json"):
        ranked = json.loads(predicted)
        places = [(ranked.get(i, []), right) for i, (right,) in json.loads(gold).items()]
        found.append(mean_reciprocal_rank([r.index(x) + 1 if x in r else None for r, x in places]).value)
    assert statistics.fmean(found) == pytest.approx(14.39025156130419)
