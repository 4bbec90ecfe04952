"""Submissions against XTREME's evaluate.py itself: it reads them and prints our scores, for every task it knows.

STILTS_XTREME is a checkout of google-research/xtreme, STILTS_SEQEVAL a Python that has seqeval 0.0.12; skipped without.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from pathlib import Path

import numpy as np
import pytest
from test_submission import TASKS, made, official_gold, task

from stilts.metrics.judge import judge, judge_pairs
from stilts.metrics.judge_search import judge_mined, judge_ranks
from stilts.report.submission import submission_files
from stilts.tasks.benchmarks import benchmark_of
from stilts.tasks.spec import TaskSpec

HERE, SEQEVAL = os.environ.get("STILTS_XTREME"), os.environ.get("STILTS_SEQEVAL")
pytestmark = pytest.mark.skipif(
    not (HERE and SEQEVAL), reason="STILTS_XTREME and STILTS_SEQEVAL name no checkout and Python"
)
PROGRAM = """
import json, sys
from evaluate import evaluate
print(json.dumps({k: v["avg_metric"] for k, v in evaluate(*sys.argv[1:])[1].items()}))
"""
MAIN = ("standard", "xtreme-f1", "layer14-mean", "full-layer14-mean", "mrr20")


def languages(benchmark, name):
    return next(m.languages for m in benchmark_of(benchmark).members if m.name == name)


def official(folder, version):
    """What evaluate.py prints of the predictions and labels below a folder."""
    command = [SEQEVAL, "-c", PROGRAM, str(folder / "predictions"), str(folder / "labels"), version]
    done = subprocess.run(command, cwd=Path(HERE), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def lay_out(folder, name, files, gold):
    """Write a task's submission, and official labels by language."""
    for kind in ("predictions", "labels"):
        (folder / kind / name).mkdir(parents=True)
    for file, text in files:
        (folder / "predictions" / name / file).write_text(text, encoding="utf-8")
        language = file.removeprefix("test-").split(".")[0]
        (folder / "labels" / name / file).write_text(gold[language], encoding="utf-8")


def score(judged):
    """The mean over languages of the headline, question answering as the mean of F1 and exact match."""
    kept = [m.value for p, _, m in judged if p in MAIN and m.metric not in ("precision", "recall")]
    return statistics.fmean(kept)


def rows(folder, benchmark, names):
    """Tasks whose predictions are one row an example; returns our scores."""
    ours = {}
    for name in names:
        one, predicted, examples, lines = made(name, languages=languages(benchmark, name))
        found = judge_pairs(one, predicted, "mean", examples) if one.retrieval else judge(one, predicted, examples)
        ours[name] = score(found)
        gold = {k: official_gold(name, examples, lines, k) for k in languages(benchmark, name)}
        lay_out(folder, name, submission_files(one, predicted, examples, 14), gold)
    return ours


def corpora(folder):
    """BUCC: 12 sentences a side, 8 gold pairs, 12 mined pairs of which about half are right; returns our score."""
    draw, codes, size = np.random.default_rng(5), languages("xtreme", "bucc2018"), 12
    one = task("bucc", "bitext_mining", languages=codes).model_dump()
    one = TaskSpec.model_validate({**one, "variant": "full"})
    data, pairs, gold = {}, {k: [] for k in ("split", "language", "layer", "query", "match", "score")}, {}
    for split in ("validation", "test"):
        columns = {k: [] for k in ("id", "language", "side", "gold")}
        for code in codes:
            right = dict(zip(draw.permutation(size)[:8].tolist(), draw.permutation(size)[:8].tolist(), strict=True))
            names = [
                (f"{code}-{i:09}", "query", [f"{code}:en-{right[i]:09}"] if i in right else []) for i in range(size)
            ]
            names += [(f"{code}:en-{i:09}", "candidate", []) for i in range(size)]
            for name, side, of in names:
                for column, value in zip(columns.values(), (name, code, side, of), strict=True):
                    column.append(value)
            for query in range(size):
                hit = query in right and draw.random() < 0.7
                match = right[query] if hit else int(draw.integers(size))
                row = (split, code, 14, query, match, float(draw.normal(1.1 if hit else 1.0, 0.05)))
                for column, value in zip(pairs.values(), row, strict=True):
                    column.append(value)
            if split == "test":
                gold[code] = "".join(f"{code}-{a:09}\ten-{b:09}\n" for a, b in right.items())
        data[split] = columns
    lay_out(folder, "bucc2018", submission_files(one, pairs, data["test"], 14, data["validation"]), gold)
    return score(judge_mined(one, pairs, "mean", data))


def mentions(folder):
    """Mewsli-X: nine mentions a language, 60 entities, right ones at random ranks to beyond 20; returns our score."""
    draw, codes = np.random.default_rng(6), languages("xtreme_r", "mewslix")
    one, gold = task("mewslix", "entity_retrieval", languages=codes), {}
    examples = {k: [] for k in ("id", "language", "side", "gold")}
    pairs, ranks = {"query": [], "match": []}, {"query": [], "rank": []}
    for entity in range(60):
        for column, value in zip(examples.values(), (f"Q{entity}", "en", "candidate", []), strict=True):
            column.append(value)
    for query, code in enumerate(k for k in codes for _ in range(9)):
        order = draw.permutation(60).tolist()
        rank = int(draw.choice([1, 2, 5, 20, 21, 40]))
        ranks["query"].append(query)
        ranks["rank"].append(rank)
        pairs["query"] += [query] * 20
        pairs["match"] += order[:20]
        for column, value in zip(examples.values(), (f"m{query}", code, "query", [f"Q{order[rank - 1]}"]), strict=True):
            column.append(value)
        gold.setdefault(code, {})[f"m{query}"] = [f"Q{order[rank - 1]}"]
    files = submission_files(one, pairs, examples, 14)
    lay_out(folder, "mewslix", files, {k: json.dumps(v) for k, v in gold.items()})
    return score(judge_ranks(one, ranks, examples))


def test_xtreme(tmp_path):
    ours = rows(tmp_path, "xtreme", [name for name in TASKS if name != "xcopa"]) | {"bucc2018": corpora(tmp_path)}
    assert set(ours) == {m.name for m in benchmark_of("xtreme").members}
    assert official(tmp_path, "xtreme") == pytest.approx(ours)


def test_xtreme_r(tmp_path):
    names = ["xnli", "xcopa", "udpos", "panx", "xquad", "mlqa", "tydiqa", "tatoeba"]
    ours = rows(tmp_path, "xtreme_r", names) | {"mewslix": mentions(tmp_path)}
    assert {*ours, "lareqa"} == {m.name for m in benchmark_of("xtreme_r").members}
    assert official(tmp_path, "xtreme-r") == pytest.approx(ours)
